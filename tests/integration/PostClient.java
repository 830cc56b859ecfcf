import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * Posts bodies to a URL that sends them back, by the client's defaults, and prints what came. With a
 * file behind the URL it believes the authority whose certificate is there.
 */
public class PostClient {
    private static byte[] body(int size) {
        byte[] body = new byte[size];
        for (int i = 0; i < size; i++) {
            body[i] = (byte) (i * 31);
        }
        return body;
    }

    private static String told(HttpResponse<byte[]> response, byte[] sent) {
        return response.statusCode() + " " + response.version() + " " + response.body().length
            + " " + Arrays.equals(response.body(), sent);
    }

    private static HttpRequest post(URI url, byte[] body, boolean lengthKnown) {
        BodyPublisher publisher = lengthKnown
            ? BodyPublishers.ofByteArray(body)
            : BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(body));
        return HttpRequest.newBuilder(url).POST(publisher).build();
    }

    private static HttpClient client(String[] arguments) throws Exception {
        if (arguments.length < 2) {
            return HttpClient.newHttpClient();
        }
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream file = Files.newInputStream(Path.of(arguments[1]))) {
            CertificateFactory factory = CertificateFactory.getInstance("X.509");
            store.setCertificateEntry("authority", factory.generateCertificate(file));
        }
        TrustManagerFactory trust =
            TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return HttpClient.newBuilder().sslContext(context).build();
    }

    public static void main(String[] arguments) throws Exception {
        HttpClient client = client(arguments);
        URI url = URI.create(arguments[0]);
        Object[][] cases = {{5, true}, {5, false}, {65536, true}, {300000, true}, {300000, false}};
        for (Object[] each : cases) {
            byte[] body = body((Integer) each[0]);
            HttpRequest request = post(url, body, (Boolean) each[1]);
            System.out.println(told(client.send(request, BodyHandlers.ofByteArray()), body));
        }
        byte[] body = body(5);
        List<CompletableFuture<HttpResponse<byte[]>>> all = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            all.add(client.sendAsync(post(url, body, i % 2 == 0), BodyHandlers.ofByteArray()));
        }
        for (CompletableFuture<HttpResponse<byte[]>> each : all) {
            System.out.println(told(each.get(), body));
        }
    }
}
