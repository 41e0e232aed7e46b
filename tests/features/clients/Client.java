// java Client.java URL [HTTP_1_1|HTTP_2]: prints the answer; any status but 200 is a failure. A WebSocket says hello.
import java.io.FileInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class Client {
    public static void main(String[] arguments) throws Exception {
        URI uri = URI.create(arguments[0]);
        HttpClient client = HttpClient.newBuilder().sslContext(trusting()).build();
        if (uri.getScheme().startsWith("ws")) {
            System.out.println(converse(client, uri));
            System.exit(0);
        }
        var request = HttpRequest.newBuilder(uri).version(HttpClient.Version.valueOf(arguments[1])).build();
        var answer = client.send(request, BodyHandlers.ofString());
        System.out.println(answer.body());
        System.exit(answer.statusCode() == 200 ? 0 : 1);
    }

    static String converse(HttpClient client, URI uri) throws Exception {
        var heard = new CompletableFuture<String>();
        WebSocket stream = client.newWebSocketBuilder().buildAsync(uri, new WebSocket.Listener() {
            @Override
            public CompletionStage<?> onText(WebSocket from, CharSequence said, boolean last) {
                heard.complete(said.toString());
                return null;
            }
        }).get(10, TimeUnit.SECONDS);
        stream.sendText("hello", true);
        return heard.get(10, TimeUnit.SECONDS);
    }

    static SSLContext trusting() throws Exception {
        var store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (var bundle = new FileInputStream(System.getenv("SSL_CERT_FILE"))) {
            for (var authority : CertificateFactory.getInstance("X.509").generateCertificates(bundle)) {
                store.setCertificateEntry("authority" + store.size(), authority);
            }
        }
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        var context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }
}
