import io.cloudevents.CloudEvent;
import io.cloudevents.core.format.EventFormat;
import io.cloudevents.core.provider.EventFormatProvider;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.eventmesh.client.grpc.config.EventMeshGrpcClientConfig;
import org.apache.eventmesh.client.grpc.producer.EventMeshGrpcProducer;
import org.apache.eventmesh.common.protocol.grpc.common.Response;

/**
 * Publishes CloudEvents with EventMesh's SDK. Arguments: host, port, producer group.
 *
 * <p>Each line of stdin is one event as JSON; lines up to one that says {@code batch} go together when they follow one that
 * says {@code begin}. Each publish prints {@code > CODE MESSAGE}, or {@code > none} where the SDK got no answer.
 */
public final class Publish {
    private static final EventFormat JSON =
            EventFormatProvider.getInstance().resolveFormat("application/cloudevents+json");

    public static void main(String[] args) throws Exception {
        EventMeshGrpcClientConfig config = EventMeshGrpcClientConfig.builder()
                .serverAddr(args[0])
                .serverPort(Integer.parseInt(args[1]))
                .producerGroup(args[2])
                .env("test")
                .idc("here")
                .sys("7")
                .userName("somebody")
                .password("a secret")
                .build();
        try (EventMeshGrpcProducer producer = new EventMeshGrpcProducer(config)) {
            System.out.println("> ready");
            BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            List<CloudEvent> batch = null;
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                if (line.equals("begin")) {
                    batch = new ArrayList<>();
                } else if (line.equals("batch")) {
                    print(producer.publish(batch));
                    batch = null;
                } else if (batch != null) {
                    batch.add(event(line));
                } else {
                    print(producer.publish(event(line)));
                }
            }
        }
        System.exit(0);
    }

    private static CloudEvent event(String line) {
        return JSON.deserialize(line.getBytes(StandardCharsets.UTF_8));
    }

    private static void print(Response response) {
        System.out.println(response == null ? "> none" : "> " + response.getRespCode() + " " + response.getRespMsg());
    }
}
