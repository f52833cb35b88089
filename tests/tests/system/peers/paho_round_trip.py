"""Publishes 100 messages at each QoS and receives them, with MQTT 3.1.1 and 5. Argument: the port."""

import sys
import threading

import paho.mqtt.client as mqtt

COUNT = 100


def round_trip(name, version):
    received = set()
    subscribed, done = threading.Event(), threading.Event()

    def on_message(client, userdata, message):
        received.add((message.qos, message.payload))
        if len(received) == 3 * COUNT:
            done.set()

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"paho-{version}", protocol=version)
    client.on_message = on_message
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", int(sys.argv[1]))
    client.loop_start()
    client.subscribe("paho/#", qos=2)
    assert subscribed.wait(30)
    sent = [client.publish(f"paho/{qos}", str(n), qos=qos) for n in range(COUNT) for qos in (0, 1, 2)]
    for publish in sent:
        publish.wait_for_publish(30)
    done.wait(30)
    client.disconnect()
    client.loop_stop()
    print(f"{name}: {len(received)} of {3 * COUNT}")


round_trip("3.1.1", mqtt.MQTTv311)
round_trip("5.0", mqtt.MQTTv5)
