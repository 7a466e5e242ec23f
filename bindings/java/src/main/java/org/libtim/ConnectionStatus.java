package org.libtim;

/** The connection to the server. */
public enum ConnectionStatus {
    /** The client is closed. */
    NONE,
    CONNECTED,
    DISCONNECTED,
    CONNECTING,
    CONNECT_FAILED;

    static ConnectionStatus of(int number) {
        return number >= 0 && number < values().length ? values()[number] : NONE;
    }
}
