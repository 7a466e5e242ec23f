package org.libtim;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

/** Records the events of a client as text. */
final class EventRecorder implements TimListener {
    private final BlockingQueue<String> events = new LinkedBlockingQueue<>();

    @Override
    public void onConnectionChanged(ConnectionStatus status, int code, String message, long loginId) {
        events.add(status + " " + code + " " + message);
    }

    @Override
    public void onKickedOffline(int code, String message, long loginId, String kickInfo) {
        events.add("KICKED_OFFLINE " + code + " " + kickInfo);
    }

    @Override
    public void onUserSigExpiring(long secondsLeft, long loginId) {
        events.add("USER_SIG_EXPIRING " + secondsLeft);
    }

    @Override
    public void onUserSigExpired(int code, String message, long loginId) {
        events.add("USER_SIG_EXPIRED " + code + " " + message);
    }

    @Override
    public void onClosed() {
        events.add("CLOSED");
    }

    /** Waits for an event that begins so, skipping others. */
    String await(String begin) throws InterruptedException {
        return await(begin, event -> event.startsWith(begin));
    }

    /** Waits for the first event that does not begin so. */
    String awaitOtherThan(String begin) throws InterruptedException {
        return await("other than " + begin, event -> !event.startsWith(begin));
    }

    private String await(String wanted, Predicate<String> isWanted) throws InterruptedException {
        while (true) {
            String event = events.poll(60, TimeUnit.SECONDS);
            if (event == null) throw new AssertionError("no event " + wanted);
            if (isWanted.test(event)) return event;
        }
    }
}
