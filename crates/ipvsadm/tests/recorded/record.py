"""Does again what a table says was done to ipvsadm, and prints the table with what came of it."""
import subprocess
import sys

ESCAPES = {"s": " ", "t": "\t", "r": "\r", "\\": "\\"}


def unescaped(word):
    if word == "\\e":
        return ""
    out, characters = "", iter(word)
    for character in characters:
        out += ESCAPES[next(characters)] if character == "\\" else character
    return out


def ipvsadm(arguments, given="", program="ipvsadm"):
    done = subprocess.run([program, *arguments], input=given.encode(), capture_output=True)
    return done.returncode & 255, done.stdout.decode(), done.stderr.decode()


def emit(mark, text):
    assert text == "" or text.endswith("\n"), text
    for line in text.split("\n")[:-1]:
        print(f"{mark} {line}" if line else mark)


def fresh():
    ipvsadm(["-C"])
    ipvsadm(["--set", "900", "120", "300"])
    for role in ("master", "backup"):
        ipvsadm(["--stop-daemon", role])


# What was recorded before is made anew.
kept = [line for line in open(sys.argv[1]).read().split("\n") if line and line[0] not in "=>!"]
for index, line in enumerate(kept):
    print(line)
    if line[0] == "@":
        fresh()
    following = kept[index + 1] if index + 1 < len(kept) else ""
    if line[0] == "&":
        emit(">", open("/proc/net/" + line[2:]).read())
    if line[0] in "$*":
        program = {"$": "ipvsadm", "*": "ipvsadm-"}[line[0]]
        arguments = [unescaped(word) for word in line[1:].split(" ") if word]
        if line[0] == "*":
            program += arguments.pop(0)
        given = ""
    if line[0] == "<":
        given += unescaped(line[2:]) + "\n"
    if line[0] in "$*<" and not following.startswith("<"):
        code, stdout, stderr = ipvsadm(arguments, given, program)
        print("=", code)
        emit(">", stdout)
        emit("!", stderr)
