//! Services and real servers as IPVS keeps them: wanted state and facts in, table changes out.
