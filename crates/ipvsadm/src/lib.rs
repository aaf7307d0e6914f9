//! ipvsadm 1.31: its arguments, its listings, its exit codes.
