// Plays bindings/scenario, as Kotlin calls the binding.
package org.libtim

import java.io.FileDescriptor
import java.io.FileOutputStream
import java.io.PrintStream
import java.util.concurrent.CompletableFuture
import kotlin.concurrent.thread
import kotlin.system.exitProcess
import org.json.JSONObject

private val out = PrintStream(FileOutputStream(FileDescriptor.out), true, Charsets.UTF_8)
private val clients = mutableMapOf<String, TimClient>()

fun main() {
    System.`in`.bufferedReader().forEachLine {
        val fields = it.split('\t')
        if (fields[0] == "exit") exitProcess(0)
        answer(fields[0], fields[1], fields.drop(2))
    }
}

private fun answer(request: String, name: String, fields: List<String>) {
    fun client() = clients.getValue(name)
    when (request) {
        "new" -> done(name, request) { clients[name] = TimClient(JSONObject(fields[0]).toMap(), EventsOf(name)) }
        "login" -> whenDone(name, request, client().login(fields[0], fields[1]))
        "logout" -> whenDone(name, request, client().logout())
        "renew_user_sig" -> whenDone(name, request, client().renewUserSig(fields[0]))
        "notify" -> done(name, request) {
            if (fields[0] == "foreground") client().notifyForeground() else client().notifyNetworkChanged()
        }
        // It waits for the event thread.
        "close" -> client().let { thread { done(name, request, it::close) } }
        "login_status" -> say(request, name, word(client().status()))
        "connection_status" -> say(request, name, word(client().connection()))
        "login_user" -> say(request, name, client().user())
        else -> throw IllegalArgumentException(request)
    }
}

private class EventsOf(private val name: String) : TimListener {
    override fun onConnectionChanged(status: ConnectionStatus, code: Int, message: String, loginId: Long) =
        say("event", name, "connection", word(status), code)

    override fun onKickedOffline(code: Int, message: String, loginId: Long, kickInfo: String) =
        say("event", name, "kicked_offline", code, kickInfo)

    override fun onUserSigExpiring(secondsLeft: Long, loginId: Long) =
        say("event", name, "user_sig_expiring", secondsLeft)

    override fun onUserSigExpired(code: Int, message: String, loginId: Long) =
        say("event", name, "user_sig_expired", code)
}

private fun done(name: String, call: String, action: () -> Unit) {
    val code = try {
        action()
        0
    } catch (error: TimException) {
        error.code()
    }
    say("done", name, call, code)
}

private fun whenDone(name: String, call: String, future: CompletableFuture<Void>) {
    future.whenComplete { _, error -> say("done", name, call, (error as TimException?)?.code() ?: 0) }
}

private fun word(status: Enum<*>) = if (status.name == "NONE") "closed" else status.name.lowercase()

private fun say(vararg fields: Any) = out.println(fields.joinToString("\t"))
