package org.libtim

import java.nio.file.Path
import java.util.concurrent.CompletableFuture
import java.util.concurrent.ExecutionException
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit
import kotlinx.coroutines.future.await
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.BeforeEach
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.Timeout
import org.junit.jupiter.api.assertThrows
import org.junit.jupiter.api.io.TempDir

/** The client as Kotlin uses it, against a real server. */
@Timeout(60)
class KotlinIT {
    @TempDir lateinit var folder: Path
    private lateinit var server: TestServer

    @BeforeEach
    fun startServer() {
        server = TestServer(folder)
    }

    @AfterEach
    fun killServer() = server.kill()

    private fun client(device: String = "phone", listener: TimListener = object : TimListener {}) =
        TimClient(server.config(device), listener)

    @Test
    fun `use closes the client`() {
        val client = client()
        client.use {
            it.login("alice", server.ticket("alice")).get()
            assertEquals("alice", it.user())
            assertEquals(LoginStatus.LOGGED_IN, it.status())
        }
        assertEquals(LoginStatus.NONE, client.status())
    }

    @Test
    fun `a refusal is a TimException with its code`() {
        client().use {
            val failed = assertThrows<ExecutionException> { it.login("bob", server.ticket("alice")).get() }
            val refused = failed.cause as TimException
            assertEquals(70013, refused.code())
            assertEquals("TIM_ERR_USER_SIG_OTHER_USER", refused.codeName())
        }
    }

    @Test
    fun `a lambda gets the result of a call`() {
        val results = LinkedBlockingQueue<String>()
        client().use {
            it.login("alice", server.ticket("alice")).thenRun { results += it.user() }
            assertEquals("alice", results.poll(60, TimeUnit.SECONDS))
            it.renewUserSig("altered").whenComplete { _, error -> results += "${(error as TimException).code()}" }
            assertEquals("70003", results.poll(60, TimeUnit.SECONDS))
        }
    }

    @Test
    fun `a listener hears of a kick`() {
        val kick = CompletableFuture<String>()
        val listener = object : TimListener {
            override fun onKickedOffline(code: Int, message: String, loginId: Long, kickInfo: String) {
                kick.complete("$code $kickInfo")
            }
        }
        client("phone", listener).use { phone ->
            phone.login("alice", server.ticket("alice")).get()
            client("tablet").use { tablet ->
                tablet.login("alice", server.ticket("alice")).get()
                val by = kick.get(60, TimeUnit.SECONDS)
                assertTrue(by.startsWith("6208 ") && by.contains("tablet"), by)
            }
        }
    }

    @Test
    fun `a coroutine awaits calls`() = runBlocking {
        client().use {
            assertNull(it.login("alice", server.ticket("alice")).await())
            val refused = assertThrows<TimException> { it.login("bob", server.ticket("alice")).await() }
            assertEquals(70013, refused.code())
            it.logout().await()
            assertEquals(LoginStatus.LOGGED_OUT, it.status())
        }
    }
}
