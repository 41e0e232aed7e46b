import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;

/**
 * A program that needs something from outside, and knows nothing of Exitway.
 *
 * <p>{@code GET /} fetches http://httpbin.org/headers and answers with what came back, or with what went wrong. {@code GET /health}
 * answers "OK". Run it with {@code java EgressHttpbin.java} (a JDK, 11 or newer).
 */
public class EgressHttpbin {
    private static final String OUTSIDE = "http://httpbin.org/headers";
    private static final int PORT = 8080;
    private static final int TIMEOUT_MILLIS = 10_000;

    public static void main(String[] arguments) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress(PORT), 0);
        server.createContext("/", exchange -> answer(exchange, fetchOrExplain()));
        server.createContext("/health", exchange -> answer(exchange, "OK\n"));
        server.setExecutor(Executors.newCachedThreadPool());
        server.start();
    }

    private static String fetchOrExplain() {
        try {
            return fetch();
        } catch (IOException problem) {
            return problem.getMessage() + "\n";
        }
    }

    private static String fetch() throws IOException {
        HttpURLConnection connection = (HttpURLConnection) new URL(OUTSIDE).openConnection();
        connection.setConnectTimeout(TIMEOUT_MILLIS);
        connection.setReadTimeout(TIMEOUT_MILLIS);
        int status = connection.getResponseCode();
        if (status != HttpURLConnection.HTTP_OK) {
            throw new IOException(status + " " + connection.getResponseMessage());
        }
        try (InputStream body = connection.getInputStream()) {
            return new String(body.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private static void answer(HttpExchange exchange, String text) throws IOException {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(HttpURLConnection.HTTP_OK, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }
}
