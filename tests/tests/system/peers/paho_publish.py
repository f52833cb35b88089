"""Leaves a durable subscription, then publishes 500 messages at QoS 1 and waits for every acknowledgement.
Arguments: host, port."""

import sys
import threading

import paho.mqtt.client as mqtt

COUNT = 500
PATIENCE_S = 100

subscribed = threading.Event()
subscriber = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2, client_id="keeper", protocol=mqtt.MQTTv311, clean_session=False
)
subscriber.on_subscribe = lambda *_: subscribed.set()
subscriber.connect(sys.argv[1], int(sys.argv[2]))
subscriber.loop_start()
subscriber.subscribe("series", qos=1)
assert subscribed.wait(PATIENCE_S)
subscriber.disconnect()
subscriber.loop_stop()

publisher = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="publisher", protocol=mqtt.MQTTv311)
publisher.max_inflight_messages_set(100)
publisher.connect(sys.argv[1], int(sys.argv[2]))
publisher.loop_start()
sent = [publisher.publish("series", str(n), qos=1) for n in range(COUNT)]
for publish in sent:
    publish.wait_for_publish(PATIENCE_S)
print(f"acknowledged {sum(publish.is_published() for publish in sent)}")
publisher.disconnect()
publisher.loop_stop()
