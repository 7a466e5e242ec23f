// What a client reports: statuses and events.

using System;
using System.Runtime.Serialization;

namespace TimLogin
{
    /// <summary>Whether somebody is logged in.</summary>
    public enum LoginStatus
    {
        /// <summary>The client is closed.</summary>
        None = 0,

        /// <summary>The server accepted the login, and nothing has ended it since.</summary>
        LoggedIn = 1,

        /// <summary>A login is in progress.</summary>
        LoggingIn = 2,

        /// <summary>Nobody is logged in.</summary>
        LoggedOut = 3,
    }

    /// <summary>The connection to the server.</summary>
    public enum ConnectionStatus
    {
        /// <summary>The client is closed.</summary>
        None = 0,

        /// <summary>The connection is open.</summary>
        Connected = 1,

        /// <summary>There is no connection, and none is being opened.</summary>
        Disconnected = 2,

        /// <summary>A connection is being opened.</summary>
        Connecting = 3,

        /// <summary>The last attempt failed.</summary>
        ConnectFailed = 4,
    }

    /// <summary>What an app knows about the device.</summary>
    public enum Hint
    {
        /// <summary>The device changed networks.</summary>
        NetworkChanged = 1,

        /// <summary>The app came to the foreground.</summary>
        Foreground = 2,
    }

    /// <summary>The status of the connection changed.</summary>
    public sealed class ConnectionChangedEventArgs : EventArgs
    {
        /// <summary>The new status.</summary>
        public ConnectionStatus Status { get; internal set; }

        /// <summary>0, or the cause.</summary>
        public int Code { get; internal set; }

        /// <summary>The text of the code.</summary>
        public string Message { get; internal set; }

        /// <summary>The login that the event belongs to.</summary>
        public long LoginId { get; internal set; }
    }

    /// <summary>Another login took the session over, or the server ended it. Only a login takes it back.</summary>
    public sealed class KickedOfflineEventArgs : EventArgs
    {
        /// <summary>Why the session ended.</summary>
        public int Code { get; internal set; }

        /// <summary>The text of the code.</summary>
        public string Message { get; internal set; }

        /// <summary>The login that the event belongs to.</summary>
        public long LoginId { get; internal set; }

        /// <summary>Who did it; null if it is not known.</summary>
        public KickInfo By { get; internal set; }
    }

    /// <summary>Who took a session over.</summary>
    [DataContract]
    public sealed class KickInfo
    {
        [DataMember(Name = "login_id")]
        internal long LoginId { get; set; }

        /// <summary>"other_device", "same_device" or "operator".</summary>
        [DataMember(Name = "cause")]
        public string Cause { get; internal set; }

        /// <summary>The platform of the device; null if it is not known.</summary>
        [DataMember(Name = "platform")]
        public string Platform { get; internal set; }

        /// <summary>The name of the device.</summary>
        [DataMember(Name = "device_name")]
        public string DeviceName { get; internal set; }

        /// <summary>When: Unix time in milliseconds, by the server's clock.</summary>
        [DataMember(Name = "time_ms")]
        public long TimeMs { get; internal set; }
    }

    /// <summary>The ticket has expired or was revoked. Only a login with a new one helps.</summary>
    public sealed class UserSigExpiredEventArgs : EventArgs
    {
        /// <summary>What happened to the ticket.</summary>
        public int Code { get; internal set; }

        /// <summary>The text of the code.</summary>
        public string Message { get; internal set; }

        /// <summary>The login that the event belongs to.</summary>
        public long LoginId { get; internal set; }
    }

    /// <summary>The ticket expires soon: get a new one and renew.</summary>
    public sealed class UserSigExpiringEventArgs : EventArgs
    {
        /// <summary>How long the ticket is still good.</summary>
        public long SecondsLeft { get; internal set; }

        /// <summary>The login that the event belongs to.</summary>
        public long LoginId { get; internal set; }
    }
}
