# Runs in a guest with IPVS and ipvsadm 1.31: prints what becomes of the lines of arguments.py, see README.md.
sed '/^for table/,$d' record.sh >machine.sh
. ./machine.sh
modprobe ip_vs_pe_sip
python3 arguments.py record
