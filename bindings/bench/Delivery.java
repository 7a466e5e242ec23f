// What the delivery of events costs in Java, with JNA's direct mapping and the binding.
package org.libtim;

import com.sun.jna.Callback;
import com.sun.jna.CallbackReference;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.LongByReference;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;

final class Delivery {
    static final int BATCH = 64;
    static final int BATCHES = 500;
    static final int KICKS = 300;
    static final String NOBODY = "http://127.0.0.1:1";
    static final String URL = System.getenv("TIM_URL");

    static {
        Native.register(Delivery.class, System.getenv("FLOOR_LIB"));
        Native.register(Raw.class, System.getenv("TIM_LIB"));
    }

    static native int floor_poll_event(long client, int timeoutMs, JnaLibrary.TimEvent event);

    static native int floor_call_back(Pointer function, int times);

    /** libtim without the binding. */
    static final class Raw {
        static native int tim_client_create(String config, LongByReference out, Pointer error, long capacity);

        static native int tim_login(long client, String userId, String userSig, Pointer callback, Pointer userData);

        static native int tim_logout(long client, Pointer callback, Pointer userData);

        static native int tim_poll_event(long client, int timeoutMs, JnaLibrary.TimEvent event);

        static native int tim_set_kicked_offline_callback(long client, OnKicked callback, Pointer userData);

        static native int tim_get_kick_info(long client, byte[] buffer, long capacity, Pointer length);
    }

    interface OnResult extends Callback {
        void invoke(int code, Pointer message, Pointer userData);
    }

    interface OnKicked extends Callback {
        void invoke(long client, int code, Pointer message, long loginId, Pointer userData);
    }

    interface Poll {
        int poll(long client, int timeoutMs, JnaLibrary.TimEvent event);
    }

    static long seen;

    static void must(boolean ok, String what) {
        if (!ok) throw new IllegalStateException(what);
    }

    static void print(String what, double value) {
        System.out.println(what + " " + value);
    }

    static long create(String url, String delivery) {
        LongByReference client = new LongByReference();
        String config = "{\"server_url\":\"" + url + "\",\"sdk_app_id\":1,\"event_delivery\":\"" + delivery + "\"}";
        must(Raw.tim_client_create(config, client, null, 0) == 0, "create");
        return client.getValue();
    }

    static void drain(String what, Poll function, long client) throws InterruptedException {
        JnaLibrary.TimEvent event = new JnaLibrary.TimEvent();
        Thread.sleep(1); // the network thread, which every call wakes, has gone back to sleep
        long start = System.nanoTime();
        for (int i = 0; i < BATCH; i++) {
            event.size = event.size();
            must(function.poll(client, 0, event) == 0, "an event is missing");
            seen += event.type + event.code + Pointer.nativeValue(event.userData);
        }
        print(what, (System.nanoTime() - start) / (double) BATCH);
    }

    static void byPoll() throws InterruptedException {
        long client = create(NOBODY, "poll");
        for (int i = 0; i < BATCHES; i++) {
            drain("floor_pull", Delivery::floor_poll_event, client);
            for (int j = 0; j < BATCH; j++) must(Raw.tim_logout(client, null, null) == 0, "logout");
            drain("pull", Raw::tim_poll_event, client);
        }
    }

    /** The first callback of a batch waits until the whole batch is pending. */
    static final class Batch implements OnResult {
        final Semaphore allPending = new Semaphore(0);
        final LinkedBlockingQueue<Double> finished = new LinkedBlockingQueue<>();
        int delivered;
        long first;

        @Override
        public void invoke(int code, Pointer message, Pointer userData) {
            if (delivered == 0) {
                allPending.acquireUninterruptibly();
                first = System.nanoTime();
            }
            if (++delivered == BATCH) {
                double each = (System.nanoTime() - first) / (double) (BATCH - 1);
                delivered = 0;
                finished.add(each);
            }
        }

        void deliver(String what) throws InterruptedException {
            allPending.release();
            print(what, finished.take());
        }
    }

    static void byCallback() throws InterruptedException {
        long client = create(NOBODY, "callback");
        Batch batch = new Batch();
        Pointer callback = CallbackReference.getFunctionPointer(batch);
        for (int i = 0; i < BATCHES; i++) {
            must(floor_call_back(callback, BATCH) == 0, "thread");
            batch.deliver("floor_callback");
            for (int j = 0; j < BATCH; j++) must(Raw.tim_logout(client, callback, null) == 0, "logout");
            batch.deliver("callback");
        }
    }

    static void byBinding() {
        try (TimClient client = new TimClient(Map.of("server_url", NOBODY, "sdk_app_id", 1), new TimListener() {})) {
            for (int i = 0; i < BATCHES; i++) {
                CompletableFuture<?>[] calls = new CompletableFuture<?>[BATCH];
                long start = System.nanoTime();
                for (int j = 0; j < BATCH; j++) calls[j] = client.logout();
                CompletableFuture.allOf(calls).join();
                print("binding", (System.nanoTime() - start) / (double) BATCH);
            }
        }
    }

    static double latency(long at, String kickInfo) {
        String time = kickInfo.replaceFirst(".*\"time_ms\":(\\d+).*", "$1");
        return (at - Long.parseLong(time)) / 1000.0;
    }

    static void kicksByBinding() throws InterruptedException {
        LinkedBlockingQueue<Double> latencies = new LinkedBlockingQueue<>();
        TimListener listener = new TimListener() {
            @Override
            public void onKickedOffline(int code, String message, long loginId, String kickInfo) {
                long at = System.nanoTime();
                latencies.add(latency(at, kickInfo));
            }
        };
        try (TimClient client = new TimClient(Map.of("server_url", URL, "sdk_app_id", 1), listener)) {
            for (int i = 0; i < KICKS; i++) {
                client.login("alice", "ticket").join();
                print("latency_pull", latencies.take());
            }
        }
    }

    static void kicksByCallback() throws InterruptedException {
        long client = create(URL, "callback");
        LinkedBlockingQueue<Long> kicked = new LinkedBlockingQueue<>();
        OnKicked callback = (handle, code, message, loginId, userData) -> kicked.add(System.nanoTime());
        must(Raw.tim_set_kicked_offline_callback(client, callback, null) == 0, "setter");
        for (int i = 0; i < KICKS; i++) {
            must(Raw.tim_login(client, "alice", "ticket", null, null) == 0, "login");
            long at = kicked.take();
            byte[] kickInfo = new byte[500];
            must(Raw.tim_get_kick_info(client, kickInfo, kickInfo.length, null) == 0, "kick info");
            print("latency_callback", latency(at, Native.toString(kickInfo)));
        }
        must(callback != null, "kept from the collector until here");
    }

    public static void main(String[] args) throws InterruptedException {
        byPoll();
        byCallback();
        byBinding();
        kicksByBinding();
        kicksByCallback();
        System.exit(0);
    }
}
