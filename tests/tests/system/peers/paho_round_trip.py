"""Publishes 100 messages at each QoS and receives them, with MQTT 3.1.1 and 5. Arguments: host, port."""

import sys
import threading

import paho.mqtt.client as mqtt

COUNT = 100
PATIENCE_S = 100


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
    client.connect(sys.argv[1], int(sys.argv[2]))
    client.loop_start()
    client.subscribe("paho/#", qos=2)
    assert subscribed.wait(PATIENCE_S)
    sent = [client.publish(f"paho/{qos}", str(n), qos=qos) for n in range(COUNT) for qos in (0, 1, 2)]
    for publish in sent:
        publish.wait_for_publish(PATIENCE_S)
    done.wait(PATIENCE_S)
    client.disconnect()
    client.loop_stop()
    print(f"{name}: {len(received)} of {3 * COUNT}")


round_trip("3.1.1", mqtt.MQTTv311)
round_trip("5.0", mqtt.MQTTv5)
