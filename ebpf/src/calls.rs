//! Global functions: the verifier checks each once, with any arguments, and not again for every way
//! that leads to a call. So they take and return plain numbers, or bytes behind a pointer that may
//! be null.

use weir_abi::NONE;
use weir_abi::connection::Word;
use weir_abi::keys::{Direction, FAMILY_V4, FlowValue};
use weir_abi::reason::Reason;
use weir_abi::tick::Tick;
use weir_forward::begin::Begun;
use weir_forward::call::template;
use weir_forward::connection::{self, Appeared, Made, Named, Opener, TemplateOf, Terms};
use weir_forward::family::{Family, Flow, V4, V6};
use weir_forward::flow_table::{self, Put};
use weir_forward::meet::{self, Met};
use weir_forward::parse::Segment;
use weir_forward::persist::Template;
use weir_forward::{begin, evict, mark, observe, persist, schedule, waiting};
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

/// Beside the number of a reason: it failed.
const FAILED: u64 = 1 << 32;
const ALONE: u32 = 0;
const BESIDE: u32 = 1;
const FULL: u32 = 2;

/// Beside a slot: where a [`Put`] of its requests lies, and one of its replies.
const REQUEST: u32 = 34;
const REPLY: u32 = 36;

/// Beside a slot: the template there says nothing any more.
const OUTLIVED: u64 = 1 << 33;
/// Beside the number of a reason: another call's template is in the way.
const ANOTHER: u64 = 1 << 34;
/// Beside a slot: the connection ends with its first packet.
const ONLY: u64 = 1 << 33;
const ONLY_ONE: u32 = 1;
const KEEPS_PORT: u32 = 2;

#[inline(always)]
fn slot(made: Result<u32, Reason>) -> u64 {
    match made {
        Ok(slot) => slot as u64,
        Err(reason) => FAILED | reason as u64,
    }
}

#[inline(always)]
fn as_slot(made: u64) -> Result<u32, Reason> {
    if made & FAILED == 0 {
        Ok(made as u32)
    } else {
        Err(reason(made))
    }
}

#[inline(always)]
fn put(put: Put) -> u64 {
    match put {
        Put::Alone => ALONE as u64,
        Put::Beside => BESIDE as u64,
        Put::Full => FULL as u64,
    }
}

#[inline(always)]
fn as_put(put: u32) -> Put {
    match put {
        ALONE => Put::Alone,
        BESIDE => Put::Beside,
        _full => Put::Full,
    }
}
/// Beside a slot: it is a service's.
const SERVICE: u64 = 1 << 33;

#[inline(always)]
fn met(met: Met) -> u64 {
    match met {
        Met::Connection(value) => value.0 as u64,
        Met::Service(slot) => SERVICE | slot as u64,
        Met::Nothing(reason) => FAILED | reason as u64,
    }
}

#[inline(always)]
fn found(entry: Option<FlowValue>) -> u64 {
    match entry {
        Some(entry) => entry.0 as u64,
        None => FAILED,
    }
}

/// The reason of a failure.
#[inline(always)]
fn reason(failure: u64) -> Reason {
    // SAFETY: only reasons are put there, whose numbers are the variants'.
    unsafe { core::mem::transmute::<u32, Reason>(failure as u32) }
}

/// [`crc32c::change`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn weir_crc_change(first: u32, length: u32) -> u64 {
    crc32c::change(first, length as u16) as u64
}

#[inline(always)]
pub fn crc_change(first: u32, length: u16) -> u32 {
    weir_crc_change(first, length as u32) as u32
}

#[inline(always)]
pub fn fill_client_port<F: Family>(slot: u32, port: u16) -> bool {
    let filled = if F::NUMBER == FAMILY_V4 {
        weir_fill4(slot, port as u32)
    } else {
        weir_fill6(slot, port as u32)
    };
    filled != 0
}

#[inline(always)]
pub fn make_data<F: Family>(control: u32, opener: Opener, named: Named) -> Result<u32, Reason> {
    let is_client = match opener {
        Opener::Server => 0,
        Opener::Client => 1,
    };
    as_slot(if F::NUMBER == FAMILY_V4 {
        weir_make_data4(control, is_client, named.0)
    } else {
        weir_make_data6(control, is_client, named.0)
    })
}

#[inline(always)]
pub fn meet<F: Family>(segment: &Segment<F::Address>, now: Tick, mark: u32) -> Met {
    let segment = core::ptr::from_ref(segment);
    let met = if F::NUMBER == FAMILY_V4 {
        weir_meet4(segment.cast(), now.0, mark)
    } else {
        weir_meet6(segment.cast(), now.0, mark)
    };
    if met & FAILED != 0 {
        Met::Nothing(reason(met))
    } else if met & SERVICE != 0 {
        Met::Service(met as u32)
    } else {
        Met::Connection(FlowValue(met as u32))
    }
}

#[inline(always)]
pub fn mark<F: Family>(segment: &Segment<F::Address>, interface: u32) -> u32 {
    let segment = core::ptr::from_ref(segment);
    if F::NUMBER == FAMILY_V4 {
        weir_mark4(segment.cast(), interface) as u32
    } else {
        weir_mark6(segment.cast(), interface) as u32
    }
}

#[inline(always)]
pub fn find_template<F: Family>(flow: &Flow<F::Address>, service: u32, now: Tick) -> Template {
    let flow = core::ptr::from_ref(flow);
    let template = if F::NUMBER == FAMILY_V4 {
        weir_find_template4(flow.cast(), service, now.0)
    } else {
        weir_find_template6(flow.cast(), service, now.0)
    };
    as_template(template)
}

#[inline(always)]
fn as_template(template: u64) -> Template {
    if template & FAILED != 0 {
        Template::Nothing
    } else if template & OUTLIVED != 0 {
        Template::Outlived(template as u32)
    } else {
        Template::Holds(template as u32)
    }
}

#[inline(always)]
pub fn give_up<F: Family>(template: u32) {
    if F::NUMBER == FAMILY_V4 {
        weir_give_up4(template);
    } else {
        weir_give_up6(template);
    }
}

#[inline(always)]
pub fn make_template<F: Family>(
    flow: &Flow<F::Address>,
    of: TemplateOf,
    now: Tick,
) -> Result<u32, Reason> {
    let flow = core::ptr::from_ref(flow);
    as_slot(if F::NUMBER == FAMILY_V4 {
        weir_template4(flow.cast(), of.service, of.destination, now.0)
    } else {
        weir_template6(flow.cast(), of.service, of.destination, now.0)
    })
}

#[inline(always)]
pub fn call_template<F: Family>(
    flow: &Flow<F::Address>,
    service: u32,
    chosen: u32,
    now: Tick,
) -> Result<u32, Reason> {
    let flow = core::ptr::from_ref(flow);
    as_slot(if F::NUMBER == FAMILY_V4 {
        weir_call_template4(flow.cast(), service, chosen, now.0)
    } else {
        weir_call_template6(flow.cast(), service, chosen, now.0)
    })
}

#[inline(always)]
pub fn find_call<F: Family>(
    flow: &Flow<F::Address>,
    service: u32,
    chosen: u32,
    now: Tick,
) -> Result<Template, Reason> {
    let flow = core::ptr::from_ref(flow);
    let template = if F::NUMBER == FAMILY_V4 {
        weir_find_call4(flow.cast(), service, chosen, now.0)
    } else {
        weir_find_call6(flow.cast(), service, chosen, now.0)
    };
    if template & ANOTHER != 0 {
        return Err(reason(template));
    }
    Ok(as_template(template))
}

#[inline(always)]
pub fn give_call<F: Family>(slot: u32) -> Result<(), Reason> {
    as_slot(if F::NUMBER == FAMILY_V4 {
        weir_give_call4(slot)
    } else {
        weir_give_call6(slot)
    })
    .map(drop)
}

#[inline(always)]
pub fn begin<F: Family>(
    segment: &Segment<F::Address>,
    service: u32,
    now: Tick,
) -> Result<Begun, Reason> {
    let segment = core::ptr::from_ref(segment);
    let begun = if F::NUMBER == FAMILY_V4 {
        weir_begin4(segment.cast(), service, now.0)
    } else {
        weir_begin6(segment.cast(), service, now.0)
    };
    let slot = as_slot(begun)?;
    let is_only = begun & ONLY != 0;
    Ok(Begun { slot, is_only })
}

#[inline(always)]
pub fn make<F: Family>(
    segment: &Segment<F::Address>,
    destination: u32,
    terms: Terms,
    now: Tick,
) -> Result<Made, Reason> {
    let segment = core::ptr::from_ref(segment);
    let Terms {
        control,
        is_only,
        keeps_port,
    } = terms;
    let how = is_only as u32 * ONLY_ONE | keeps_port as u32 * KEEPS_PORT;
    let made = if F::NUMBER == FAMILY_V4 {
        weir_make4(segment.cast(), destination, control, how, now.0)
    } else {
        weir_make6(segment.cast(), destination, control, how, now.0)
    };
    Ok(Made {
        slot: as_slot(made)?,
        appeared: Appeared {
            request: as_put((made >> REQUEST) as u32 & 3),
            reply: as_put((made >> REPLY) as u32 & 3),
        },
    })
}

#[inline(always)]
pub fn put_flows<F: Family>(slot: u32) -> Appeared {
    let appeared = if F::NUMBER == FAMILY_V4 {
        weir_put4(slot)
    } else {
        weir_put6(slot)
    };
    Appeared {
        request: as_put(appeared as u32),
        reply: as_put((appeared >> 32) as u32),
    }
}

#[inline(always)]
pub fn put_replies<F: Family>(slot: u32) -> Put {
    let claimed = if F::NUMBER == FAMILY_V4 {
        weir_put_replies4(slot)
    } else {
        weir_put_replies6(slot)
    };
    as_put(claimed as u32)
}

#[inline(always)]
pub fn rival<F: Family>(slot: u32, direction: Direction) -> Option<FlowValue> {
    let entry = FlowValue::new(slot, direction).0;
    let rival = if F::NUMBER == FAMILY_V4 {
        weir_rival4(entry)
    } else {
        weir_rival6(entry)
    };
    (rival & FAILED == 0).then_some(FlowValue(rival as u32))
}

#[inline(always)]
pub fn remove_flow<F: Family>(slot: u32, direction: Direction, entry: FlowValue) {
    let of = FlowValue::new(slot, direction).0;
    if F::NUMBER == FAMILY_V4 {
        weir_remove4(of, entry.0);
    } else {
        weir_remove6(of, entry.0);
    }
}

#[inline(always)]
pub fn search<F: Family>(flow: &Flow<F::Address>, except: Option<FlowValue>) -> Option<FlowValue> {
    let flow = core::ptr::from_ref(flow);
    // No entry has that number: slots end below.
    let except = except.map_or(NONE, |entry| entry.0);
    let found = if F::NUMBER == FAMILY_V4 {
        weir_search4(flow.cast(), except)
    } else {
        weir_search6(flow.cast(), except)
    };
    (found & FAILED == 0).then_some(FlowValue(found as u32))
}

#[inline(always)]
pub fn evict<F: Family>() -> bool {
    let evicted = if F::NUMBER == FAMILY_V4 {
        weir_evict4()
    } else {
        weir_evict6()
    };
    evicted != 0
}

#[inline(always)]
pub fn end<F: Family>(slot: u32, word: Word) -> bool {
    let ended = if F::NUMBER == FAMILY_V4 {
        weir_end4(slot, word.0)
    } else {
        weir_end6(slot, word.0)
    };
    ended != 0
}

#[inline(always)]
pub fn stop_waiting<F: Family>(slot: u32, word: Word) {
    if F::NUMBER == FAMILY_V4 {
        weir_stop_waiting4(slot, word.0);
    } else {
        weir_stop_waiting6(slot, word.0);
    }
}

#[inline(always)]
pub fn pick<F: Family>(service: u32, flow: &Flow<F::Address>, now: Tick) -> Option<u32> {
    let flow = core::ptr::from_ref(flow);
    let slot = if F::NUMBER == FAMILY_V4 {
        weir_pick4(service, flow.cast(), now.0) as u32
    } else {
        weir_pick6(service, flow.cast(), now.0) as u32
    };
    (slot != NONE).then_some(slot)
}
