package org.libtim;

/** An event that was polled: the fields of {@code tim_event} that this package uses. */
final class Event {
    final int type;
    final int code;
    final int connectionStatus;
    final long loginId;
    final long secondsLeft;

    /** The number of the call that has completed. */
    final long number;

    final String message;

    Event(int type, int code, int connectionStatus, long loginId, long secondsLeft, long number, String message) {
        this.type = type;
        this.code = code;
        this.connectionStatus = connectionStatus;
        this.loginId = loginId;
        this.secondsLeft = secondsLeft;
        this.number = number;
        this.message = message;
    }
}
