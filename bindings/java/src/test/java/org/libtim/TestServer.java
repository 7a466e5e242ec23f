package org.libtim;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A server process with an app of its own, and tickets for it. TIM_SERVER is the program. */
final class TestServer {
    private final String program = System.getenv("TIM_SERVER");
    private final String data;
    private final long appId;
    private String address = "127.0.0.1:0";
    private Process process;

    TestServer(Path folder) throws IOException {
        data = folder.resolve("data").toString();
        start();
        appId = Long.parseLong(Files.readString(Path.of(data, "sdk_app_id")).trim());
    }

    /** Starts the process, on the same port if it ran before. */
    void start() throws IOException {
        List<String> command = List.of(program, "serve", "--listen", address, "--data-dir", data);
        process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
        String ready = new BufferedReader(new InputStreamReader(process.getInputStream())).readLine();
        address = ready.substring(ready.lastIndexOf("http=") + 5);
    }

    void kill() throws InterruptedException {
        process.destroyForcibly().waitFor();
    }

    String ticket(String user) throws IOException {
        return ticket(user, 3600);
    }

    String ticket(String user, int seconds) throws IOException {
        List<String> command =
                List.of(program, "usersig", "--user-id", user, "--expire", "" + seconds, "--data-dir", data);
        Process made = new ProcessBuilder(command).start();
        return new String(made.getInputStream().readAllBytes(), StandardCharsets.UTF_8).trim();
    }

    /** A configuration with quick reconnects, which a test may change. */
    Map<String, Object> config(String device) {
        Map<String, Object> config = new HashMap<>();
        config.put("server_url", "http://" + address);
        config.put("sdk_app_id", appId);
        config.put("device_id", device);
        config.put("device_name", "my \"" + device + "\"");
        config.put("reconnect", Map.of("first_ms", 10, "max_ms", 100));
        return config;
    }
}
