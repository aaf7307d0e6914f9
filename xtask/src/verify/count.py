"""Loads the packet programs and says how many instructions the verifier processed: lines of program and number.

Runs wherever the kernel to ask is: here or in a virtual machine. The number is asked of the kernel itself, since
Debian's bpftool does not show it.
"""

import ctypes
import os
import shutil
import struct
import subprocess
import sys

SYSCALL_BPF = 321  # of x86-64
OBJECT_GET = 7
OBJECT_GET_INFO_BY_FD = 15
# struct bpf_prog_info: where verified_insns (Linux 5.16) lies.
VERIFIED_INSTRUCTIONS = 216


def bpf(command, attributes):
    libc = ctypes.CDLL(None, use_errno=True)
    answer = libc.syscall(SYSCALL_BPF, command, attributes, len(attributes))
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


def verified_instructions(pinned):
    path = ctypes.create_string_buffer(pinned.encode())
    program = bpf(OBJECT_GET, struct.pack("=QII", ctypes.addressof(path), 0, 0))
    try:
        info = ctypes.create_string_buffer(VERIFIED_INSTRUCTIONS + 8)
        bpf(OBJECT_GET_INFO_BY_FD, struct.pack("=IIQ", program, len(info), ctypes.addressof(info)))
        return struct.unpack_from("=I", info, VERIFIED_INSTRUCTIONS)[0]
    finally:
        os.close(program)


def main(program_file):
    directory = f"/sys/fs/bpf/weir-verify-{os.getpid()}"
    os.mkdir(directory)
    try:
        programs = f"{directory}/programs"
        load = ["bpftool", "prog", "loadall", program_file, programs]
        loaded = subprocess.run(load, capture_output=True, text=True)
        if loaded.returncode != 0:
            said = (loaded.stdout + loaded.stderr).splitlines()
            print("\n".join(line[:300] for line in said[-30:]))
            sys.exit(1)
        for name in sorted(os.listdir(programs)):
            print(name, verified_instructions(f"{programs}/{name}"))
    finally:
        shutil.rmtree(directory)


main(sys.argv[1])
