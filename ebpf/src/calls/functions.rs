//! What is called: the same decisions as on the host, each behind plain numbers.

use super::words::*;
use weir_abi::NONE;
use weir_abi::connection::Word;
use weir_abi::keys::FlowValue;
use weir_abi::reason::Reason;
use weir_abi::tick::Tick;
use weir_forward::call::template;
use weir_forward::connection::{self, Appeared, Named, Opener, TemplateOf, Terms};
use weir_forward::family::{Flow, V4, V6};
use weir_forward::flow_table;
use weir_forward::meet::{self, Met};
use weir_forward::parse::Segment;
use weir_forward::persist::{self, Template};
use weir_forward::{begin, evict, mark, observe, schedule, waiting};
use weir_wire::crc32c;

use crate::tables::Maps;

/// The functions of one family.
macro_rules! functions {
    ($family:ty, $address:ty, $meet:ident, $mark:ident, $find_template:ident,
     $give_up:ident, $template:ident, $call_template:ident, $find_call:ident, $give_call:ident, $fill:ident, $make_data:ident, $begin:ident, $pick:ident, $make:ident, $put:ident, $put_replies:ident, $rival:ident,
     $remove:ident, $search:ident, $evict:ident, $end:ident,
     $stop_waiting:ident) => {
        /// 1 if the data connection in the slot has that port of the client's now.
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $fill(slot: u32, port: u32) -> u64 {
            connection::fill_client_port::<$family, Maps>(&Maps, slot, port as u16) as u64
        }

        /// The slot of the data connection that a control connection has spoken of, or a failure.
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $make_data(control: u32, is_client: u32, named: u64) -> u64 {
            let opener = if is_client == 0 {
                Opener::Server
            } else {
                Opener::Client
            };
            slot(connection::make_data::<$family, Maps>(&Maps, control, opener, Named(named)))
        }

        /// A [`Met`].
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $meet(segment: *const Segment<$address>, now: u32, mark: u32) -> u64 {
            // SAFETY: null, or a segment, as the verifier has seen by its size and our one caller
            // by its type.
            match unsafe { segment.as_ref() } {
                Some(segment) => met(meet::meet::<$family, Maps>(
                    &Maps,
                    segment,
                    Tick(now),
                    mark,
                )),
                None => met(Met::Nothing(Reason::NotOurs)),
            }
        }

        /// The mark that a rule gives, or 0.
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $mark(segment: *const Segment<$address>, interface: u32) -> u64 {
            // SAFETY: as above.
            match unsafe { segment.as_ref() } {
                Some(segment) => mark::mark::<$family, Maps>(&Maps, segment, interface) as u64,
                None => 0,
            }
        }

        /// A [`Template`].
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $find_template(
            flow: *const Flow<$address>,
            service: u32,
            now: u32,
        ) -> u64 {
            // SAFETY: null, or a flow.
            let template = match unsafe { flow.as_ref() } {
                Some(flow) => {
                    persist::find_template::<$family, Maps>(&Maps, flow, service, Tick(now))
                }
                None => Template::Nothing,
            };
            match template {
                Template::Holds(slot) => slot as u64,
                Template::Outlived(slot) => OUTLIVED | slot as u64,
                Template::Nothing => FAILED,
            }
        }

        /// Lets a template be found no more.
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $give_up(template: u32) -> u64 {
            persist::give_up::<$family, Maps>(&Maps, template);
            0
        }

        /// The slot of the template made, or a failure.
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $template(
            flow: *const Flow<$address>,
            service: u32,
            destination: u32,
            now: u32,
        ) -> u64 {
            let of = TemplateOf {
                service,
                destination,
            };
            // SAFETY: null, or a flow.
            match unsafe { flow.as_ref() } {
                Some(flow) => slot(connection::make_template::<$family, Maps>(
                    &Maps,
                    flow,
                    of,
                    Tick(now),
                )),
                None => FAILED,
            }
        }

        /// The slot of the template of the call that has been read, or a failure.
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $call_template(
            flow: *const Flow<$address>,
            service: u32,
            chosen: u32,
            now: u32,
        ) -> u64 {
            // SAFETY: null, or a flow.
            match unsafe { flow.as_ref() } {
                Some(flow) => slot(template::call_template::<$family, Maps>(
                    &Maps,
                    flow,
                    service,
                    chosen,
                    Tick(now),
                )),
                None => FAILED,
            }
        }

        /// A [`Template`], or [`ANOTHER`] beside the number of a reason.
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $find_call(
            flow: *const Flow<$address>,
            service: u32,
            chosen: u32,
            now: u32,
        ) -> u64 {
            // SAFETY: null, or a flow.
            let found = match unsafe { flow.as_ref() } {
                Some(flow) => template::find_call::<$family, Maps>(
                    &Maps,
                    flow,
                    service,
                    chosen,
                    Tick(now),
                ),
                None => Ok(Template::Nothing),
            };
            match found {
                Ok(Template::Holds(slot)) => slot as u64,
                Ok(Template::Outlived(slot)) => OUTLIVED | slot as u64,
                Ok(Template::Nothing) => FAILED,
                Err(reason) => ANOTHER | reason as u64,
            }
        }

        /// Gives a new template its call: anything, or a failure.
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $give_call(own: u32) -> u64 {
            slot(template::give_call::<$family, Maps>(&Maps, own).map(|()| own))
        }

        /// The slot of the connection begun, or a failure.
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $begin(segment: *const Segment<$address>, service: u32, now: u32) -> u64 {
            // SAFETY: as above.
            match unsafe { segment.as_ref() } {
                Some(segment) => {
                    match begin::begin::<$family, Maps>(&Maps, segment, service, Tick(now)) {
                        Ok(begun) if begun.is_only => ONLY | begun.slot as u64,
                        Ok(begun) => begun.slot as u64,
                        Err(reason) => FAILED | reason as u64,
                    }
                }
                None => FAILED,
            }
        }

        /// The slot of the real server picked, or [`NONE`].
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $pick(service: u32, flow: *const Flow<$address>, now: u32) -> u64 {
            // The compiler would leave an argument unset that nobody reads, which is refused.
            // SAFETY: no instruction.
            unsafe { core::arch::asm!("/* {0} */", in(reg) now) };
            // SAFETY: null, or a flow.
            match unsafe { flow.as_ref() } {
                Some(flow) => {
                    let picked = schedule::pick::<$family, Maps>(&Maps, service, flow, Tick(now));
                    picked.unwrap_or(NONE) as u64
                }
                None => NONE as u64,
            }
        }

        /// A [`Made`], or a failure. `how` is [`ONLY_ONE`] and [`KEEPS_PORT`].
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $make(
            segment: *const Segment<$address>,
            destination: u32,
            control: u32,
            how: u32,
            now: u32,
        ) -> u64 {
            let terms = Terms {
                control,
                is_only: how & ONLY_ONE != 0,
                keeps_port: how & KEEPS_PORT != 0,
            };
            // SAFETY: as above.
            match unsafe { segment.as_ref() } {
                Some(segment) => {
                    let made = connection::make::<$family, Maps>(
                        &Maps,
                        segment,
                        destination,
                        terms,
                        Tick(now),
                    );
                    match made {
                        Ok(made) => {
                            let Appeared { request, reply } = made.appeared;
                            made.slot as u64 | put(request) << REQUEST | put(reply) << REPLY
                        }
                        Err(reason) => FAILED | reason as u64,
                    }
                }
                None => FAILED,
            }
        }

        /// An [`Appeared`]: two [`Put`]s, the replies' in the upper half.
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $put(slot: u32) -> u64 {
            let appeared = connection::put_flows::<$family, Maps>(&Maps, slot);
            put(appeared.request) | put(appeared.reply) << 32
        }

        /// A [`Put`].
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $put_replies(slot: u32) -> u64 {
            put(connection::put_replies::<$family, Maps>(&Maps, slot))
        }

        /// The entry of another connection with the same flow, or a failure.
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $rival(entry: u32) -> u64 {
            let entry = FlowValue(entry);
            let (slot, direction) = (entry.slot(), entry.direction());
            found(connection::rival::<$family, Maps>(&Maps, slot, direction))
        }

        /// Removes `entry`, which has the flow of `of`.
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $remove(of: u32, entry: u32) -> u64 {
            let of = FlowValue(of);
            let (slot, direction) = (of.slot(), of.direction());
            connection::remove_flow::<$family, Maps>(&Maps, slot, direction, FlowValue(entry));
            0
        }

        /// The entry that is a flow's, and not `except` ([`NONE`] for any), or a failure.
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $search(flow: *const Flow<$address>, except: u32) -> u64 {
            let except = (except != NONE).then_some(FlowValue(except));
            // SAFETY: null, or a flow.
            match unsafe { flow.as_ref() } {
                Some(flow) => found(flow_table::search::<$family, Maps>(&Maps, flow, except)),
                None => FAILED,
            }
        }

        /// 1 if a connection has been ended to make room.
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $evict() -> u64 {
            evict::evict::<$family, Maps>(&Maps) as u64
        }

        /// Counts a connection that has waited for its real server in vain.
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $stop_waiting(slot: u32, word: u64) -> u64 {
            observe::stop_waiting::<$family, Maps>(&Maps, slot, Word(word));
            0
        }

        /// 1 if the connection in the slot has been ended.
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $end(slot: u32, word: u64) -> u64 {
            connection::end::<$family, Maps>(&Maps, slot, Word(word)) as u64
        }
    };
}

functions!(
    V4,
    [u32; 1],
    weir_meet4,
    weir_mark4,
    weir_find_template4,
    weir_give_up4,
    weir_template4,
    weir_call_template4,
    weir_find_call4,
    weir_give_call4,
    weir_fill4,
    weir_make_data4,
    weir_begin4,
    weir_pick4,
    weir_make4,
    weir_put4,
    weir_put_replies4,
    weir_rival4,
    weir_remove4,
    weir_search4,
    weir_evict4,
    weir_end4,
    weir_stop_waiting4
);
functions!(
    V6,
    [u32; 4],
    weir_meet6,
    weir_mark6,
    weir_find_template6,
    weir_give_up6,
    weir_template6,
    weir_call_template6,
    weir_find_call6,
    weir_give_call6,
    weir_fill6,
    weir_make_data6,
    weir_begin6,
    weir_pick6,
    weir_make6,
    weir_put6,
    weir_put_replies6,
    weir_rival6,
    weir_remove6,
    weir_search6,
    weir_evict6,
    weir_end6,
    weir_stop_waiting6
);

/// Gives up fragments that have waited too long.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_expire_fragments(now: u32) -> u64 {
    waiting::expire(&Maps, Tick(now));
    0
}

/// [`crc32c::change`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_crc_change(first: u32, length: u32) -> u64 {
    crc32c::change(first, length as u16) as u64
}
