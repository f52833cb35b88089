import io.cloudevents.CloudEvent;
import io.cloudevents.core.builder.CloudEventBuilder;
import io.cloudevents.core.format.EventFormat;
import io.cloudevents.core.provider.EventFormatProvider;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.eventmesh.client.grpc.config.EventMeshGrpcClientConfig;
import org.apache.eventmesh.client.grpc.consumer.EventMeshGrpcConsumer;
import org.apache.eventmesh.client.grpc.consumer.ReceiveMsgHook;
import org.apache.eventmesh.client.grpc.producer.EventMeshGrpcProducer;
import org.apache.eventmesh.common.enums.EventMeshProtocolType;
import org.apache.eventmesh.common.protocol.SubscriptionItem;
import org.apache.eventmesh.common.protocol.SubscriptionMode;
import org.apache.eventmesh.common.protocol.SubscriptionType;

/**
 * Subscribes with EventMesh's SDK. Arguments: host, port, consumer group, mode, topic.
 *
 * <p>Prints {@code > ready} once a subscription stands, and {@code > event JSON} for each event. A line {@code again} on
 * stdin makes a new consumer in the place of the old one, as an application has to when its mesh was away, and leads to
 * another {@code > ready}; {@code unsubscribe} prints {@code > CODE MESSAGE}; the end of stdin ends the program.
 */
public final class Subscribe {
    private static final EventFormat JSON =
            EventFormatProvider.getInstance().resolveFormat("application/cloudevents+json");

    private final EventMeshGrpcClientConfig config;
    private final SubscriptionMode mode;
    private final String topic;
    /** The SDK does not say when a subscription stands: it does when an event on this topic of our own comes back. */
    private final String probe = "probe-" + UUID.randomUUID();
    private volatile CountDownLatch probed = new CountDownLatch(1);
    private EventMeshGrpcConsumer consumer;

    private Subscribe(String[] args) {
        config = EventMeshGrpcClientConfig.builder()
                .serverAddr(args[0])
                .serverPort(Integer.parseInt(args[1]))
                .consumerGroup(args[2])
                .producerGroup("probes")
                .env("test")
                .idc("here")
                .sys("8")
                .userName("somebody")
                .password("none")
                .build();
        mode = SubscriptionMode.valueOf(args[3]);
        topic = args[4];
    }

    public static void main(String[] args) throws Exception {
        Subscribe subscribe = new Subscribe(args);
        subscribe.begin();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            if (line.equals("again")) {
                subscribe.consumer.close();
                subscribe.begin();
            } else if (line.equals("unsubscribe")) {
                var response = subscribe.consumer.unsubscribe(List.of(subscribe.item(subscribe.topic)));
                print(response == null ? "none" : response.getRespCode() + " " + response.getRespMsg());
            }
        }
        System.exit(0);
    }

    private void begin() throws Exception {
        probed = new CountDownLatch(1);
        consumer = new EventMeshGrpcConsumer(config);
        consumer.init();
        consumer.registerListener(new ReceiveMsgHook<CloudEvent>() {
            @Override
            public Optional<CloudEvent> handle(CloudEvent event) {
                take(event);
                return Optional.empty();
            }

            @Override
            public EventMeshProtocolType getProtocolType() {
                return EventMeshProtocolType.CLOUD_EVENTS;
            }
        });
        consumer.subscribe(List.of(item(topic), item(probe)));
        try (EventMeshGrpcProducer producer = new EventMeshGrpcProducer(config)) {
            do {
                producer.publish(CloudEventBuilder.v1()
                        .withId(UUID.randomUUID().toString())
                        .withSource(URI.create("/probe"))
                        .withType("probe")
                        .withSubject(probe)
                        .withDataContentType("text/plain")
                        .withData("probe".getBytes(StandardCharsets.UTF_8))
                        .withExtension("ttl", "4000")
                        .build());
            } while (!probed.await(100, TimeUnit.MILLISECONDS));
        }
        print("ready");
    }

    private SubscriptionItem item(String name) {
        return new SubscriptionItem(name, mode, SubscriptionType.ASYNC);
    }

    private void take(CloudEvent event) {
        if (probe.equals(event.getSubject())) {
            probed.countDown();
        } else {
            print("event " + new String(JSON.serialize(event), StandardCharsets.UTF_8));
        }
    }

    private static synchronized void print(String text) {
        System.out.println("> " + text);
    }
}
