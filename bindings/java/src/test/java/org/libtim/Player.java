package org.libtim;

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.json.JSONObject;

/** Plays bindings/scenario. */
final class Player {
    private static final PrintStream OUT =
            new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);

    private final Map<String, TimClient> clients = new HashMap<>();

    public static void main(String[] args) throws IOException {
        Player player = new Player();
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            String[] fields = line.split("\t", -1);
            if (fields[0].equals("exit")) System.exit(0);
            player.answer(fields[0], fields[1], fields);
        }
    }

    private void answer(String request, String name, String[] fields) {
        TimClient client = clients.get(name);
        switch (request) {
            case "new":
                done(name, request, () -> clients.put(name, create(name, fields[2])));
                break;
            case "login":
                whenDone(name, request, client.login(fields[2], fields[3]));
                break;
            case "logout":
                whenDone(name, request, client.logout());
                break;
            case "renew_user_sig":
                whenDone(name, request, client.renewUserSig(fields[2]));
                break;
            case "notify":
                boolean foreground = fields[2].equals("foreground");
                done(name, request, foreground ? client::notifyForeground : client::notifyNetworkChanged);
                break;
            case "close":
                // It waits for the event thread.
                new Thread(() -> done(name, request, client::close)).start();
                break;
            case "login_status":
                say(request, name, word(client.status()));
                break;
            case "connection_status":
                say(request, name, word(client.connection()));
                break;
            case "login_user":
                say(request, name, client.user());
                break;
            default:
                throw new IllegalArgumentException(request);
        }
    }

    private static TimClient create(String name, String config) {
        return new TimClient(new JSONObject(config).toMap(), new TimListener() {
            @Override
            public void onConnectionChanged(ConnectionStatus status, int code, String message, long loginId) {
                say("event", name, "connection", word(status), code);
            }

            @Override
            public void onKickedOffline(int code, String message, long loginId, String kickInfo) {
                say("event", name, "kicked_offline", code, kickInfo);
            }

            @Override
            public void onUserSigExpiring(long secondsLeft, long loginId) {
                say("event", name, "user_sig_expiring", secondsLeft);
            }

            @Override
            public void onUserSigExpired(int code, String message, long loginId) {
                say("event", name, "user_sig_expired", code);
            }
        });
    }

    private static void done(String name, String call, Runnable action) {
        int code = 0;
        try {
            action.run();
        } catch (TimException error) {
            code = error.code();
        }
        say("done", name, call, code);
    }

    private static void whenDone(String name, String call, CompletableFuture<Void> future) {
        future.whenComplete((nothing, error) ->
                say("done", name, call, error == null ? 0 : ((TimException) error).code()));
    }

    private static String word(Enum<?> status) {
        return status.name().equals("NONE") ? "closed" : status.name().toLowerCase(Locale.ROOT);
    }

    private static void say(Object... fields) {
        StringBuilder line = new StringBuilder();
        for (Object field : fields) line.append(line.length() == 0 ? "" : "\t").append(field);
        OUT.println(line);
    }
}
