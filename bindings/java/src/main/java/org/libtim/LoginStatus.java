package org.libtim;

/** Whether somebody is logged in. */
public enum LoginStatus {
    /** The client is closed. */
    NONE,
    LOGGED_IN,
    LOGGING_IN,
    LOGGED_OUT;

    static LoginStatus of(int number) {
        return number >= 0 && number < values().length ? values()[number] : NONE;
    }
}
