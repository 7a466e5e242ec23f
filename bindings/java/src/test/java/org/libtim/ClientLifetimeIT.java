package org.libtim;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.lang.ref.Cleaner;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a client leaves behind when it is closed or forgotten. */
@Timeout(60)
class ClientLifetimeIT extends ServerTest {
    private TimClient client() {
        return new TimClient(server.config("same"), new TimListener() {});
    }

    @Test
    void aThousandClientsLeaveNoThreadAndNoDescriptor() throws Exception {
        client().close();
        long descriptors = socketsOfThisProcess();
        for (int round = 0; round < 1000; round++) client().close();
        assertEquals(descriptors, socketsOfThisProcess());
        // A thread is gone a moment after it was joined.
        repeatUntil(() -> threadsOfClients() == 0);
    }

    private static void repeatUntil(Callable<Boolean> condition) throws Exception {
        while (!condition.call()) {
            // The time limit of a test only interrupts it.
            if (Thread.interrupted()) throw new InterruptedException();
        }
    }

    private static long socketsOfThisProcess() throws IOException {
        try (Stream<Path> descriptors = Files.list(Path.of("/proc/self/fd"))) {
            return descriptors.filter(descriptor -> target(descriptor).startsWith("socket:")).count();
        }
    }

    private static String target(Path descriptor) {
        try {
            return Files.readSymbolicLink(descriptor).toString();
        } catch (IOException closedMeanwhile) {
            return "";
        }
    }

    /** Those of the library and those of Java. */
    private static long threadsOfClients() throws IOException {
        try (Stream<Path> threads = Files.list(Path.of("/proc/self/task"))) {
            return threads.filter(thread -> name(thread).startsWith("tim")).count();
        }
    }

    private static String name(Path thread) {
        try {
            return Files.readString(thread.resolve("comm"));
        } catch (IOException endedMeanwhile) {
            return "";
        }
    }

    @Test
    void aClientThatIsForgottenIsClosed() throws Exception {
        client().login("alice", server.ticket("alice")).get();
        repeatUntil(() -> {
            System.gc();
            return theDeviceIsFree();
        });
    }

    private boolean theDeviceIsFree() {
        try {
            client().close();
            return true;
        } catch (TimException error) {
            assertEquals("TIM_ERR_DEVICE_IN_USE", error.codeName());
            return false;
        }
    }

    @Test
    void aCallThatIsPendingKeepsItsClient() throws Exception {
        String ticket = server.ticket("alice");
        server.kill();
        CompletableFuture<Void> login = client().login("alice", ticket);
        // What is forgotten after the client is found no earlier.
        CountDownLatch collected = new CountDownLatch(1);
        Cleaner.create().register(new Object(), collected::countDown);
        while (!collected.await(10, TimeUnit.MILLISECONDS)) System.gc();
        server.start();
        login.get();
    }
}
