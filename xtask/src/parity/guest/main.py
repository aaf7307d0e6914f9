"""Plays one scenario on two directors and tells every difference: run as root in a virtual machine of its own."""

import argparse
import difflib
import sys
import time

import packets
from director import Director, Lost
from scenario import Command, Scenario

# Steps between two looks at everything. They must be over before anything that they began can expire: the shortest
# timeout of IPVS, of a closed connection, is ten seconds.
SEGMENT_STEPS = 40
SEGMENT_SECONDS = 8
# IPVS's timers are late by up to an eighth, and its statistics by two seconds.
EXPIRY_MARGIN = SEGMENT_SECONDS + 4
STATISTICS_SECONDS = 3
ENOUGH_DIFFERENCES = 5


class Tally:
    def __init__(self):
        self.commands = self.packets = self.emitted = self.listings = self.differences = 0
        self.connections = 0


class Comparison:
    def __init__(self, arguments):
        self.arguments, self.tally, self.step = arguments, Tally(), 0
        self.scenario = Scenario(arguments.seed)
        self.first = Director("ipvs")
        self.second = Director("weir" if arguments.weir else "ipvs2", arguments.weir, arguments.mode)
        self.both = [self.first, self.second]

    def run(self):
        begin = time.monotonic()
        self.second.start()
        print(f"seed {self.arguments.seed}: both directors are up after {time.monotonic() - begin:.1f} s", flush=True)
        while self.step < self.arguments.steps and self.tally.differences < ENOUGH_DIFFERENCES:
            self.segment()
        return self.tally

    def segment(self):
        self.wait_out_expiries()
        begin = time.monotonic()
        for _ in range(SEGMENT_STEPS):
            self.step += 1
            action = self.scenario.next()
            if self.arguments.trace:
                print(f"{self.step}: {action}", flush=True)
            if isinstance(action, Command):
                if action.removes_services():
                    # A real server that comes back in a new service starts from zero, and zero is for IPVS what its
                    # estimator saw last.
                    time.sleep(STATISTICS_SECONDS)
                    self.wait_out_expiries()
                    begin = time.monotonic()
                self.command(action)
            else:
                self.packet(action)
            if self.tally.differences >= ENOUGH_DIFFERENCES:
                return
        self.compare_listings()
        took = time.monotonic() - begin
        if took > SEGMENT_SECONDS:
            raise Lost(f"{SEGMENT_STEPS} steps took {took:.1f} s: something may have expired on one side only")
        time.sleep(STATISTICS_SECONDS)
        self.compare_statistics()

    def wait_out_expiries(self):
        """Lets whatever could expire during the next steps expire before them."""
        waited = False
        for director in self.both:
            if director.weir:
                continue
            while (nearest := director.nearest_expiry()) is not None and nearest < EXPIRY_MARGIN:
                time.sleep(1)
                waited = True
        if waited:
            time.sleep(2)

    def command(self, command):
        self.tally.commands += 1
        answers = [director.ipvsadm(command.arguments, command.given) for director in self.both]
        self.compare(command, answers)

    def packet(self, action):
        self.tally.packets += 1
        out = [director.exchange(action.side, action.packet) for director in self.both]
        self.tally.emitted += sum(len(side) for side in out[0])
        comparable = packets.comparable
        if packets.without_checksum(action.packet):
            # A known difference: where there was no checksum, IPVS adds one and Weir does not.
            comparable = packets.without_udp_checksum
        told = [
            [f"to {side}, next hop {hop.hex(':')}: {packets.describe(comparable(packet))}" for hop, packet in got]
            for answers in out
            for side, got in zip(("clients", "servers"), answers)
        ]
        self.compare(action, [told[0] + told[1], told[2] + told[3]])
        self.scenario.heard(action, out[0][1])

    def compare_listings(self):
        for director in self.both:
            director.check_alive()
        for arguments in (["-L", "-n"], ["-S", "-n"], ["-L", "--timeout"]):
            self.compare_command(arguments)
        self.compare_command(["-L", "-n", "-c"], connections_without_expiry)
        self.scenario.saved = self.first.ipvsadm(["-S", "-n"])[1]

    def compare_statistics(self):
        self.compare_command(["-L", "-n", "--stats", "--exact"])
        self.compare_command(["-L", "-n"])
        if self.scenario.random.random() < 0.2:
            self.command(Command("-Z"))
            time.sleep(STATISTICS_SECONDS)
            self.compare_command(["-L", "-n", "--stats"])

    def compare_command(self, arguments, comparable=lambda text: text):
        self.tally.listings += 1
        answers = []
        for director in self.both:
            status, output, errors = director.ipvsadm(arguments)
            answers.append((status, comparable(output), errors))
        self.compare(Command(*arguments), answers)
        if arguments[-1] == "-c":
            self.tally.connections = max(self.tally.connections, answers[0][1].count("\n") - 2)

    def compare(self, action, answers):
        if answers[0] == answers[1]:
            return
        self.tally.differences += 1
        print(f"DIFFERENCE at seed {self.arguments.seed}, step {self.step}: {action}")
        lines = [[line for part in answer for line in str(part).splitlines()] for answer in answers]
        for line in difflib.unified_diff(*lines, *(director.name for director in self.both), lineterm="", n=2):
            print(f"  {line}")
        sys.stdout.flush()


def connections_without_expiry(text):
    """The listing's lines in an order of their own, without how long each connection still has."""
    heading, rows = text.splitlines()[:2], text.splitlines()[2:]
    columns = [row.split() for row in rows]
    return "\n".join(heading + sorted(" ".join(row[:1] + row[2:]) for row in columns)) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--weir", help="the second director; without it, it is IPVS too")
    parser.add_argument("--mode", default="tc", help="how Weir takes packets")
    parser.add_argument("--trace", action="store_true")
    comparison = Comparison(parser.parse_args())
    try:
        tally = comparison.run()
    except Lost as lost:
        print(f"LOST at seed {comparison.arguments.seed}, step {comparison.step}: {lost}")
        sys.exit(2)
    print(
        f"seed {comparison.arguments.seed}: {tally.commands} commands, {tally.packets} packets ({tally.emitted} came out), "
        f"{tally.listings} listings, up to {tally.connections} connections at once: {tally.differences} differences"
    )
    sys.exit(1 if tally.differences else 0)


main()
