//! Global functions: the verifier checks each once, with any arguments, and not again for every way
//! that leads to a call. So they take and return plain numbers, or bytes behind a pointer that may
//! be null. Here is the calling side: types in, types out.

use functions::*;
use weir_abi::NONE;
use weir_abi::connection::Word;
use weir_abi::keys::{Direction, FAMILY_V4, FlowValue};
use weir_abi::reason::Reason;
use weir_abi::tick::Tick;
use weir_forward::begin::Begun;
use weir_forward::connection::{Appeared, Made, Named, Opener, TemplateOf, Terms};
use weir_forward::family::{Family, Flow};
use weir_forward::flow_table::Put;
use weir_forward::meet::Met;
use weir_forward::parse::Segment;
use weir_forward::persist::Template;
use words::*;

mod functions;
mod words;

#[inline(always)]
pub fn crc_change(first: u32, length: u16) -> u32 {
    weir_crc_change(first, length as u32) as u32
}

#[inline(always)]
pub fn expire_fragments(now: Tick) {
    weir_expire_fragments(now.0);
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
