"""Echo server and its client: `echo PROTOCOL PORT`, `ask PROTOCOL HOST PORT BYTES`. TCP is protocol 6, SCTP 132."""

import socket
import sys
import threading

PATIENCE = 60


def echo(protocol, port):
    listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("::", port))
    listener.listen(9)
    print("listening", flush=True)

    def serve(connection):
        try:
            while some := connection.recv(65536):
                connection.sendall(some)
            connection.close()
        except OSError:
            pass

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def ask(protocol, host, port, length):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM, protocol)
    connection.settimeout(PATIENCE)
    connection.connect((host, port))
    data = bytes((i * 31 + i // 251) & 255 for i in range(length))

    def send():
        for at in range(0, length, 4000):
            connection.sendall(data[at : at + 4000])

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    got = b""
    while len(got) < length:
        some = connection.recv(65536)
        if not some:
            break
        got += some
    if got != data:
        sys.exit(f"{len(got)} of {length} bytes came back, or others")


if sys.argv[1] == "echo":
    echo(int(sys.argv[2]), int(sys.argv[3]))
else:
    try:
        ask(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    except OSError as error:
        sys.exit(str(error))
