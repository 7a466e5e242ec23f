// A client of libtim, for .NET Standard 2.0.

using System;
using System.Collections.Generic;
using System.Text;
using System.Threading.Tasks;

namespace TimLogin
{
    /// <summary>
    /// A client of libtim, which manages the login of one user. Every member may be used on any thread. Tasks
    /// complete on the thread pool. Events are raised on the client's event thread, one at a time: a handler may
    /// make calls, but must not block until one has completed. An exception that leaves a handler ends the process.
    /// A client that is forgotten is closed by the garbage collector, unless it has handlers or pending calls.
    /// </summary>
    public sealed class TimClient : IDisposable
    {
        private readonly Core core;

        /// <summary>Creates a client. Nothing is sent before a login.</summary>
        /// <param name="config">
        /// The keys of tim.h's configuration. Values are strings, numbers, booleans and dictionaries.
        /// </param>
        /// <exception cref="TimException">The configuration is wrong; the message names the key.</exception>
        /// <exception cref="ArgumentException">A value is of another type; the message names the key.</exception>
        public TimClient(IDictionary<string, object> config)
        {
            if (config == null) throw new ArgumentNullException(nameof(config));
            core = new Core(Create(new Dictionary<string, object>(config) { ["event_delivery"] = "poll" }));
        }

        /// <summary>Closes a client that was forgotten. Its thread knows only the core.</summary>
        ~TimClient()
        {
            if (core != null) Native.tim_client_destroy(core.Handle, 0);
        }

        /// <summary>The status of the connection changed.</summary>
        public event EventHandler<ConnectionChangedEventArgs> ConnectionChanged
        {
            add { Listened.ConnectionChanged += value; }
            remove { core.ConnectionChanged -= value; }
        }

        /// <summary>Another login took the session over, or the server ended it.</summary>
        public event EventHandler<KickedOfflineEventArgs> KickedOffline
        {
            add { Listened.KickedOffline += value; }
            remove { core.KickedOffline -= value; }
        }

        /// <summary>The ticket has expired or was revoked.</summary>
        public event EventHandler<UserSigExpiredEventArgs> UserSigExpired
        {
            add { Listened.UserSigExpired += value; }
            remove { core.UserSigExpired -= value; }
        }

        /// <summary>The ticket expires soon.</summary>
        public event EventHandler<UserSigExpiringEventArgs> UserSigExpiring
        {
            add { Listened.UserSigExpiring += value; }
            remove { core.UserSigExpiring -= value; }
        }

        /// <summary>The client has closed. Nothing follows.</summary>
        public event EventHandler Closed
        {
            add { Listened.Closed += value; }
            remove { core.Closed -= value; }
        }

        /// <summary>Whether somebody is logged in.</summary>
        public LoginStatus Status
        {
            get
            {
                var status = (LoginStatus)Native.tim_get_login_status(core.Handle);
                GC.KeepAlive(this);
                return status;
            }
        }

        /// <summary>The connection to the server.</summary>
        public ConnectionStatus Connection
        {
            get
            {
                var status = (ConnectionStatus)Native.tim_get_connection_status(core.Handle);
                GC.KeepAlive(this);
                return status;
            }
        }

        /// <summary>The user who is logged in, or the empty string.</summary>
        public string User
        {
            get
            {
                string user = Native.Text(Native.tim_get_login_user, core.Handle);
                GC.KeepAlive(this);
                return user;
            }
        }

        /// <summary>The latest error as JSON text, with the address, the phase and retry_after_ms.</summary>
        public string LastError
        {
            get
            {
                string error = Native.Text(Native.tim_get_last_error, core.Handle);
                GC.KeepAlive(this);
                return error;
            }
        }

        // The core, for one who adds a handler.
        private Core Listened
        {
            get
            {
                core.Sender = this;
                return core;
            }
        }

        /// <summary>Logs a user in. Fails if the server refuses or cannot be reached in time.</summary>
        /// <exception cref="TimException">In the task: the call was rejected or failed.</exception>
        public Task LoginAsync(string userId, string userSig)
        {
            if (userId == null) throw new ArgumentNullException(nameof(userId));
            if (userSig == null) throw new ArgumentNullException(nameof(userSig));
            return core.Call(this, n =>
                HasNul(userId) ? Native.InvalidUserId :
                HasNul(userSig) ? Native.UserSigUnreadable :
                Native.tim_login(core.Handle, Native.Text(userId), Native.Text(userSig), IntPtr.Zero, n));
        }

        /// <summary>Logs the user out. A failure says that the server does not know of it yet.</summary>
        /// <exception cref="TimException">In the task: the call was rejected or failed.</exception>
        public Task LogoutAsync()
        {
            return core.Call(this, n => Native.tim_logout(core.Handle, IntPtr.Zero, n));
        }

        /// <summary>Replaces the ticket of the session, without interrupting it.</summary>
        /// <exception cref="TimException">In the task: the call was rejected or failed.</exception>
        public Task RenewUserSigAsync(string userSig)
        {
            if (userSig == null) throw new ArgumentNullException(nameof(userSig));
            return core.Call(this, n =>
                HasNul(userSig) ? Native.UserSigUnreadable :
                Native.tim_renew_user_sig(core.Handle, Native.Text(userSig), IntPtr.Zero, n));
        }

        /// <summary>Tells the library what it cannot see for itself.</summary>
        /// <exception cref="TimException">The call was rejected.</exception>
        public void Notify(Hint hint)
        {
            int code = Native.tim_notify(core.Handle, (int)hint);
            GC.KeepAlive(this);
            if (code != Native.Ok) throw new TimException(code);
        }

        /// <summary>The server's Unix time in milliseconds.</summary>
        /// <exception cref="TimException">Nobody has logged in yet.</exception>
        public long GetServerTimeMs()
        {
            long time;
            int code = Native.tim_get_server_time_ms(core.Handle, out time);
            GC.KeepAlive(this);
            if (code != Native.Ok) throw new TimException(code);
            return time;
        }

        /// <summary>
        /// Closes the client: pending calls fail with TIM_ERR_INTERRUPTED. Does not log out. Waits for the event
        /// thread, unless it is called there: release every lock that handlers take.
        /// </summary>
        public void Dispose()
        {
            GC.SuppressFinalize(this);
            Native.tim_client_destroy(core.Handle, 0);
            core.Join();
        }

        private static ulong Create(Dictionary<string, object> config)
        {
            var error = new byte[512];
            ulong handle;
            byte[] text = Native.Text(Json.Write(config));
            int code = Native.tim_client_create(text, out handle, error, (UIntPtr)error.Length);
            if (code == Native.Ok) return handle;
            int end = Array.IndexOf(error, (byte)0);
            throw new TimException(code, Encoding.UTF8.GetString(error, 0, end));
        }

        // A NUL would end the text early, so it gets the error that the library has for the text.
        private static bool HasNul(string text)
        {
            return text.IndexOf('\0') >= 0;
        }
    }
}
