package org.libtim;

import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.LongByReference;
import java.lang.ref.Cleaner;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongFunction;

/**
 * A client of libtim, which manages the login of one user. Every method may be called on any thread.
 *
 * <p>Futures complete, and listeners run, on the client's event thread: a daemon thread of Java, which polls
 * the library. No thread of the library ever calls into Java.
 */
public final class TimClient implements AutoCloseable {
    private static final Cleaner CLEANER = Cleaner.create();

    private final Core core;
    private final Cleaner.Cleanable closing;

    /**
     * Creates a client.
     *
     * @param config the configuration as tim.h describes it, without {@code event_delivery}
     * @throws TimException if the configuration is wrong; its message names the key
     */
    public TimClient(Map<String, ?> config, TimListener listener) {
        core = new Core(create(config), Objects.requireNonNull(listener));
        // A client that is forgotten is closed: its thread only knows the core.
        long handle = core.handle;
        closing = CLEANER.register(this, () -> Library.tim_client_destroy(handle, 0));
        core.thread.start();
    }

    private static long create(Map<String, ?> config) {
        StringBuilder json = new StringBuilder();
        Json.write(config, json);
        json.insert(1, config.isEmpty() ? "\"event_delivery\":\"poll\"" : "\"event_delivery\":\"poll\",");
        LongByReference handle = new LongByReference();
        byte[] error = new byte[512];
        byte[] text = Library.text(json.toString(), 7719);
        int code = Library.tim_client_create(text, handle, error, error.length);
        if (code != Library.OK) throw new TimException(code, Native.toString(error, "UTF-8"));
        return handle.getValue();
    }

    /** Logs a user in. */
    public CompletableFuture<Void> login(String userId, String userSig) {
        byte[] user = Library.text(userId, 7003);
        byte[] sig = Library.text(userSig, 70003);
        return core.call(n -> Library.tim_login(core.handle, user, sig, null, new Pointer(n)));
    }

    /** Logs the user out. A failure says that the server does not know of it yet. */
    public CompletableFuture<Void> logout() {
        return core.call(n -> Library.tim_logout(core.handle, null, new Pointer(n)));
    }

    /** Replaces the ticket of the session, without interrupting it. */
    public CompletableFuture<Void> renewUserSig(String userSig) {
        byte[] sig = Library.text(userSig, 70003);
        return core.call(n -> Library.tim_renew_user_sig(core.handle, sig, null, new Pointer(n)));
    }

    /** Tells the library that the device changed networks. */
    public void notifyNetworkChanged() {
        hint(1);
    }

    /** Tells the library that the app came to the foreground. */
    public void notifyForeground() {
        hint(2);
    }

    private void hint(int hint) {
        int code = Library.tim_notify(core.handle, hint);
        if (code != Library.OK) throw new TimException(code);
    }

    public LoginStatus status() {
        return LoginStatus.of(Library.tim_get_login_status(core.handle));
    }

    public ConnectionStatus connection() {
        return ConnectionStatus.of(Library.tim_get_connection_status(core.handle));
    }

    /** The user who is logged in, or the empty string. */
    public String user() {
        return Library.text(Library::tim_get_login_user, core.handle);
    }

    /** The latest error as JSON text, with the address, the phase and {@code retry_after_ms}. */
    public String lastError() {
        return Library.text(Library::tim_get_last_error, core.handle);
    }

    /**
     * Closes the client: pending calls fail with TIM_ERR_INTERRUPTED. Does not log out. Waits for the event
     * thread, unless it is called there.
     */
    @Override
    public void close() {
        closing.clean();
        if (Thread.currentThread() == core.thread) return;
        boolean interrupted = false;
        while (core.thread.isAlive()) {
            try {
                core.thread.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) Thread.currentThread().interrupt();
    }

    /** What the event thread knows. */
    private static final class Core {
        final long handle;
        final TimListener listener;
        final Thread thread = new Thread(this::takeEvents, "timlogin");
        final Map<Long, CompletableFuture<Void>> pending = new ConcurrentHashMap<>();
        final AtomicLong last = new AtomicLong();

        Core(long handle, TimListener listener) {
            this.handle = handle;
            this.listener = listener;
            thread.setDaemon(true);
        }

        CompletableFuture<Void> call(LongFunction<Integer> start) {
            CompletableFuture<Void> future = new CompletableFuture<>();
            long number = last.incrementAndGet();
            pending.put(number, future);
            int code = start.apply(number);
            if (code != Library.OK) {
                pending.remove(number);
                future.completeExceptionally(new TimException(code));
            }
            return future;
        }

        void takeEvents() {
            Library.Event event = new Library.Event();
            do {
                event.size = event.size();
                if (Library.tim_poll_event(handle, -1, event) != Library.OK) return;
                try {
                    deliver(event);
                } catch (Throwable thrown) {
                    // A listener's fault must not end the thread: it goes where uncaught ones go.
                    thread.getUncaughtExceptionHandler().uncaughtException(thread, thrown);
                }
            } while (event.type != Library.CLOSED);
        }

        void deliver(Library.Event event) {
            int code = event.code;
            String message = Library.text(event.message);
            switch (event.type) {
                case Library.COMPLETION:
                    CompletableFuture<Void> future = pending.remove(Pointer.nativeValue(event.userData));
                    if (future == null) return;
                    if (code == Library.OK) future.complete(null);
                    else future.completeExceptionally(new TimException(code));
                    break;
                case Library.CONNECTION:
                    ConnectionStatus status = ConnectionStatus.of(event.connectionStatus);
                    listener.onConnectionChanged(status, code, message, event.loginId);
                    break;
                case Library.USER_SIG_EXPIRED:
                    listener.onUserSigExpired(code, message, event.loginId);
                    break;
                case Library.KICKED_OFFLINE:
                    String info = Library.text(Library::tim_get_kick_info, handle);
                    listener.onKickedOffline(code, message, event.loginId, info);
                    break;
                case Library.USER_SIG_EXPIRING:
                    listener.onUserSigExpiring(event.secondsLeft, event.loginId);
                    break;
                case Library.CLOSED:
                    listener.onClosed();
                    break;
                default: // of a later version
            }
        }
    }

    /** Writes a configuration; JSON of one level of objects needs no library. */
    private static final class Json {
        private Json() {}

        static void write(Object value, StringBuilder out) {
            if (value instanceof Map) {
                String separator = "{";
                for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                    out.append(separator);
                    write(entry.getKey().toString(), out);
                    out.append(':');
                    write(entry.getValue(), out);
                    separator = ",";
                }
                out.append(separator.equals("{") ? "{}" : "}");
            } else if (value instanceof CharSequence) {
                out.append('"');
                for (char c : value.toString().toCharArray()) {
                    if (c < ' ' || c == '"' || c == '\\') out.append(String.format("\\u%04x", (int) c));
                    else out.append(c);
                }
                out.append('"');
            } else {
                out.append(value);
            }
        }
    }
}
