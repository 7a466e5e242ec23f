package org.libtim;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** Tests with a server of their own. */
abstract class ServerTest {
    @TempDir Path folder;
    TestServer server;

    @BeforeEach
    void startServer() throws IOException {
        server = new TestServer(folder);
    }

    @AfterEach
    void killServer() throws InterruptedException {
        server.kill();
    }
}
