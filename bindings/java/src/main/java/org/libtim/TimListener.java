package org.libtim;

/** Receives the events of a client, one at a time, on the client's event thread. */
public interface TimListener {
    /**
     * The status of the connection changed.
     *
     * @param code 0, or the cause
     */
    default void onConnectionChanged(ConnectionStatus status, int code, String message, long loginId) {}

    /**
     * Another login took the session over, or the server ended it. Only a login takes it back.
     *
     * @param kickInfo JSON text that says who did it; {@code {}} if that is not known
     */
    default void onKickedOffline(int code, String message, long loginId, String kickInfo) {}

    /** The ticket expires soon: get a new one and renew. */
    default void onUserSigExpiring(long secondsLeft, long loginId) {}

    /** The ticket has expired or was revoked: log in with a new one. */
    default void onUserSigExpired(int code, String message, long loginId) {}

    /** The client has closed. Nothing follows. */
    default void onClosed() {}
}
