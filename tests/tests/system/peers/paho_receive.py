"""Takes up the durable subscription of paho_publish.py and receives what it is owed. Arguments: host, port."""

import sys
import threading

import paho.mqtt.client as mqtt

COUNT = 500
PATIENCE_S = 100

received = []
done = threading.Event()


def on_message(client, userdata, message):
    received.append(int(message.payload))
    if len(received) >= COUNT:
        done.set()


client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2, client_id="keeper", protocol=mqtt.MQTTv311, clean_session=False
)
client.on_message = on_message
client.connect(sys.argv[1], int(sys.argv[2]))
client.loop_start()
done.wait(PATIENCE_S)
client.disconnect()
client.loop_stop()
order = "in order" if received == list(range(COUNT)) else "out of order or with repeats"
print(f"received {len(received)} {order}")
