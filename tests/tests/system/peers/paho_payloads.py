"""Speaks Sparkplug B, protobuf and CBOR, each byte of it written here. Arguments: host, port, and `birth` (a node is born) or `data`
(it says two data, the second with an alias it never announced, and waits to be asked for its birth; a pump and a meter speak too)."""

import struct
import sys
import threading

import paho.mqtt.client as mqtt

PATIENCE_S = 100
INT32 = 3


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def number(tag, value):
    return varint(tag << 3) + varint(value)


def run(tag, value):
    return varint(tag << 3 | 2) + varint(len(value)) + value


def payload(seq, *metrics):
    return number(1, 1486144502122) + b"".join(run(2, it) for it in metrics) + number(3, seq)


def publish(topic, payload):
    client.publish(topic, payload, qos=1).wait_for_publish(PATIENCE_S)


asked = threading.Event()
subscribed = threading.Event()
commands = []


def take(_client, _data, message):
    commands.append(message)
    asked.set()


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="tank", protocol=mqtt.MQTTv311)
client.on_message = take
client.on_subscribe = lambda *_: subscribed.set()
client.connect(sys.argv[1], int(sys.argv[2]))
client.loop_start()
client.subscribe("spBv1.0/plant/NCMD/tank", qos=1)
assert subscribed.wait(PATIENCE_S)
if sys.argv[3] == "birth":
    bd_seq = run(1, b"bdSeq") + number(4, 8) + number(11, 0)
    level = run(1, b"level") + number(2, 1) + number(4, INT32) + number(10, 12)
    publish("spBv1.0/plant/NBIRTH/tank", payload(0, bd_seq, level))
    print("born")
else:
    publish("spBv1.0/plant/NDATA/tank", payload(1, number(2, 1) + number(10, 97)))
    pump = run(1, b"pump-7") + b"\x11" + struct.pack("<d", 71.5) + number(3, 2)
    publish("pumps/7", pump)
    publish("meters/3", b"\xa1\x61x\x11")
    publish("spBv1.0/plant/NDATA/tank", payload(2, number(2, 9) + number(10, 1)))
    assert asked.wait(PATIENCE_S)
    command = commands[0]
    assert run(1, b"Node Control/Rebirth") in command.payload, command.payload
    print(f"asked {len(commands)} time on {command.topic}")
client.disconnect()
client.loop_stop()
