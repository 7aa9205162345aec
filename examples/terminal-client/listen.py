#!/usr/bin/env python3
"""Follows the live feed of a Tidings service in a terminal, and continues where it stopped: the position is in a file."""
import json
import os
import queue
import random
import sys
import time

import requests
import socketio

URL = os.environ.get("TIDINGS_URL", "http://127.0.0.1:3000")
EMAIL = os.environ.get("TIDINGS_EMAIL", "")
PASSWORD = os.environ.get("TIDINGS_PASSWORD", "")
POSITION_FILE = os.environ.get("POSITION_FILE", "position.json")
# The service says something every two seconds. Seconds.
SILENCE = 8
# How long an event may wait for one before it. Seconds.
PATIENCE = 3
# The longest wait before the next attempt. Seconds.
LONGEST_WAIT = 10


def say(text):
    print(text, file=sys.stderr, flush=True)


class Session:
    """A login and its tokens. An access token is good for 15 minutes: each connection gets a new one."""

    refresh_token = None

    def access_token(self):
        if self.refresh_token is not None:
            answer = requests.post(f"{URL}/refresh", json={"refresh_token": self.refresh_token}, timeout=15)
            if answer.status_code == 401:
                self.refresh_token = None
        if self.refresh_token is None:
            answer = requests.post(f"{URL}/login", json={"email": EMAIL, "password": PASSWORD}, timeout=15)
            if answer.status_code in (403, 422):
                sys.exit(f"The login is refused: {answer.text}")
        answer.raise_for_status()
        tokens = answer.json()
        self.refresh_token = tokens["refresh_token"]
        return tokens["access_token"]


class Position:
    """How far the events have been shown: `seq`, and the `epoch` that it belongs to. Kept in a file."""

    def __init__(self):
        try:
            with open(POSITION_FILE, encoding="utf-8") as file:
                kept = json.load(file)
        except FileNotFoundError:
            kept = {"epoch": None, "seq": None}
        self.seq, self.epoch = kept["seq"], kept["epoch"]

    def move(self, seq, epoch=None):
        self.seq, self.epoch = seq, epoch or self.epoch
        # Another file first: one that is half written would be no position.
        with open(f"{POSITION_FILE}.new", "w", encoding="utf-8") as file:
            json.dump({"epoch": self.epoch, "seq": self.seq}, file)
        os.replace(f"{POSITION_FILE}.new", POSITION_FILE)

    def handshake(self):
        return {} if self.seq is None else {"after": self.seq, "epoch": self.epoch}


def show(name, data, seq):
    print(json.dumps({"seq": seq, "name": name, "id": data.get("id"), "title": data.get("title")}), flush=True)


def follow(session, position):
    """One connection, until it ends. Returns whether it came about."""
    heard = queue.Queue()
    client = socketio.Client(reconnection=False, request_timeout=15)
    client.on("*", lambda name, *args: heard.put((name, args)))
    client.on("disconnect", lambda *_: heard.put(("disconnect", ())))
    client.on("connect_error", lambda problem=None: say(f"refused: {problem}"))
    try:
        auth = {"token": session.access_token(), "tallies": "none", **position.handshake()}
        client.connect(URL, auth=auth, transports=["websocket"], wait_timeout=15)
        listen(heard, position)
        return True
    except (socketio.exceptions.ConnectionError, requests.RequestException) as error:
        say(f"not connected: {error}")
        return False
    finally:
        client.disconnect()


def listen(heard, position):
    """
    python-socketio hands over each message in a thread of its own, so they may come in any order. Each event says in
    `prev` after which position it follows: one that is too early waits for those before it.
    """
    waiting = {}
    since = time.monotonic()
    while True:
        try:
            name, args = heard.get(timeout=SILENCE)
        except queue.Empty:
            return say("the service is silent")
        if name == "disconnect":
            return say("the connection is lost")
        if name == "session:closed":
            say(f"closed: {args[0]['code']}")
        elif name == "ready":
            say(f"live: {args[0]['outcome']}")
            if position.seq is None or args[0]["outcome"] == "reset":
                if position.seq is not None:
                    say("the log does not reach back to the position: read GET /posts again")
                position.move(args[0]["seq"], args[0]["epoch"])
        elif name == "feed:head":
            # Up to there is nothing for us.
            waiting[args[0]["seq"]] = (args[0]["prev"], None, None)
        elif len(args) == 2 and "prev" in args[1]:
            waiting[args[1]["seq"]] = (args[1]["prev"], name, args[0])
        if not waiting:
            since = time.monotonic()
        for seq in sorted(waiting) if position.seq is not None else []:
            prev, event, data = waiting[seq]
            if prev > position.seq:
                break
            del waiting[seq]
            since = time.monotonic()
            if seq <= position.seq:
                continue
            if event is not None:
                show(event, data, seq)
            position.move(seq)
        if time.monotonic() - since > PATIENCE:
            return say("a message is missing")


def main():
    session, position = Session(), Position()
    failures = 0
    while True:
        failures = 0 if follow(session, position) else failures + 1
        # At random, so that not all clients come back to a restarted node at once.
        time.sleep(random.random() * min(LONGEST_WAIT, 0.5 * 2 ** min(failures, 10)))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
