package org.libtim;

/**
 * The functions of libtim that this package calls. {@link JnaLibrary} and {@link FfmLibrary} each reach them by one of
 * Java's ways to call C.
 */
interface Library {
    Library LOADED = LibraryLoader.load();

    int OK = 0;
    int BUFFER_TOO_SMALL = 7709;

    int COMPLETION = 1;
    int CONNECTION = 2;
    int USER_SIG_EXPIRED = 3;
    int KICKED_OFFLINE = 4;
    int USER_SIG_EXPIRING = 5;
    int CLOSED = 6;

    int HINT_NETWORK_CHANGED = 1;
    int HINT_FOREGROUND = 2;

    /**
     * Creates a client.
     *
     * @return its handle
     * @throws TimException if the configuration is wrong
     */
    long create(String config);

    int destroy(long client);

    // The completion of each of these carries the number that the call was given.

    int login(long client, String userId, String userSig, long number);

    int logout(long client, long number);

    int renewUserSig(long client, String userSig, long number);

    int notify(long client, int hint);

    /** Waits for the next event; null if the client has none any more. */
    Event poll(long client);

    int loginStatus(long client);

    int connectionStatus(long client);

    // Texts; empty where there is none.

    String loginUser(long client);

    String kickInfo(long client);

    String lastError(long client);

    String errorName(int code);

    String errorMessage(int code);

    boolean isRetryable(int code);
}
