// Sign-in for instant messaging with libtim, for .NET Standard 2.0 and Mono.
//
// Events are polled on a background thread of .NET: no thread of the library ever calls into managed code.

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace TimLogin
{
    /// <summary>Whether somebody is logged in.</summary>
    public enum LoginStatus
    {
        /// <summary>The client is closed.</summary>
        None = 0,
        LoggedIn = 1,
        LoggingIn = 2,
        LoggedOut = 3,
    }

    /// <summary>The connection to the server.</summary>
    public enum ConnectionStatus
    {
        /// <summary>The client is closed.</summary>
        None = 0,
        Connected = 1,
        Disconnected = 2,
        Connecting = 3,
        ConnectFailed = 4,
    }

    /// <summary>What an app knows about the device.</summary>
    public enum Hint
    {
        NetworkChanged = 1,
        Foreground = 2,
    }

    /// <summary>A call that was rejected or failed.</summary>
    public sealed class TimException : Exception
    {
        internal TimException(int code)
            : this(code, Native.Text(Native.tim_error_message(code)))
        {
        }

        internal TimException(int code, string message)
            : base(message + " (" + Native.Text(Native.tim_error_name(code)) + ")")
        {
            Code = code;
            CodeName = Native.Text(Native.tim_error_name(code));
            IsRetryable = Native.tim_error_is_retryable(code) == 1;
        }

        /// <summary>TIM_ERR_* of tim.h.</summary>
        public int Code { get; }

        /// <summary>The code's name as tim.h spells it.</summary>
        public string CodeName { get; }

        /// <summary>The same call may succeed later, unchanged.</summary>
        public bool IsRetryable { get; }
    }

    /// <summary>The status of the connection changed.</summary>
    public sealed class ConnectionChangedEventArgs : EventArgs
    {
        public ConnectionStatus Status { get; internal set; }

        /// <summary>0, or the cause.</summary>
        public int Code { get; internal set; }

        public string Message { get; internal set; }
        public long LoginId { get; internal set; }
    }

    /// <summary>The session ended: it was taken over, or its ticket has expired.</summary>
    public sealed class SessionEndedEventArgs : EventArgs
    {
        public int Code { get; internal set; }
        public string Message { get; internal set; }
        public long LoginId { get; internal set; }

        /// <summary>For a kick: JSON text that says who did it.</summary>
        public string KickInfo { get; internal set; }
    }

    /// <summary>The ticket expires soon: get a new one and renew.</summary>
    public sealed class UserSigExpiringEventArgs : EventArgs
    {
        public long SecondsLeft { get; internal set; }
        public long LoginId { get; internal set; }
    }

    /// <summary>
    /// A client of libtim, which manages the login of one user. Every member may be used on any thread.
    /// Tasks complete on the thread pool; events are raised on the client's event thread, one at a time.
    /// </summary>
    public sealed class TimClient : IDisposable
    {
        private readonly Core core;

        /// <param name="config">
        /// The keys of tim.h's configuration. Values are strings, numbers, booleans and dictionaries.
        /// </param>
        /// <exception cref="TimException">The configuration is wrong; the message names the key.</exception>
        public TimClient(IDictionary<string, object> config)
        {
            core = new Core(Create(config));
            core.Start();
        }

        // A client that is forgotten is closed: its thread only knows the core.
        ~TimClient()
        {
            if (core != null) Native.tim_client_destroy(core.Handle, 0);
        }

        public event EventHandler<ConnectionChangedEventArgs> ConnectionChanged
        {
            add { core.ConnectionChanged += value; }
            remove { core.ConnectionChanged -= value; }
        }

        public event EventHandler<SessionEndedEventArgs> KickedOffline
        {
            add { core.KickedOffline += value; }
            remove { core.KickedOffline -= value; }
        }

        public event EventHandler<SessionEndedEventArgs> UserSigExpired
        {
            add { core.UserSigExpired += value; }
            remove { core.UserSigExpired -= value; }
        }

        public event EventHandler<UserSigExpiringEventArgs> UserSigExpiring
        {
            add { core.UserSigExpiring += value; }
            remove { core.UserSigExpiring -= value; }
        }

        /// <summary>The client has closed. Nothing follows.</summary>
        public event EventHandler Closed
        {
            add { core.Closed += value; }
            remove { core.Closed -= value; }
        }

        public LoginStatus Status
        {
            get { return (LoginStatus)Native.tim_get_login_status(core.Handle); }
        }

        public ConnectionStatus Connection
        {
            get { return (ConnectionStatus)Native.tim_get_connection_status(core.Handle); }
        }

        /// <summary>The user who is logged in, or the empty string.</summary>
        public string User
        {
            get { return Native.Text(Native.tim_get_login_user, core.Handle); }
        }

        /// <summary>The latest error as JSON text, with the address, the phase and retry_after_ms.</summary>
        public string LastError
        {
            get { return Native.Text(Native.tim_get_last_error, core.Handle); }
        }

        /// <summary>Logs a user in. Fails if the server refuses or cannot be reached in time.</summary>
        public Task LoginAsync(string userId, string userSig)
        {
            byte[] user = Native.Text(userId, 7003), sig = Native.Text(userSig, 70003);
            return core.Call(n => Native.tim_login(core.Handle, user, sig, IntPtr.Zero, n));
        }

        /// <summary>Logs the user out. A failure says that the server does not know of it yet.</summary>
        public Task LogoutAsync()
        {
            return core.Call(n => Native.tim_logout(core.Handle, IntPtr.Zero, n));
        }

        /// <summary>Replaces the ticket of the session, without interrupting it.</summary>
        public Task RenewUserSigAsync(string userSig)
        {
            byte[] sig = Native.Text(userSig, 70003);
            return core.Call(n => Native.tim_renew_user_sig(core.Handle, sig, IntPtr.Zero, n));
        }

        /// <summary>Tells the library what it cannot see for itself.</summary>
        public void Notify(Hint hint)
        {
            int code = Native.tim_notify(core.Handle, (int)hint);
            if (code != Native.Ok) throw new TimException(code);
        }

        /// <summary>
        /// Closes the client: pending calls fail with TIM_ERR_INTERRUPTED. Does not log out. Waits for the
        /// event thread, unless it is called there.
        /// </summary>
        public void Dispose()
        {
            GC.SuppressFinalize(this);
            Native.tim_client_destroy(core.Handle, 0);
            core.Join();
        }

        private static ulong Create(IDictionary<string, object> config)
        {
            var all = new Dictionary<string, object>(config) { { "event_delivery", "poll" } };
            var json = new StringBuilder();
            WriteJson(all, json);
            var error = new byte[512];
            ulong handle;
            byte[] text = Native.Text(json.ToString(), 7719);
            int code = Native.tim_client_create(text, out handle, error, (UIntPtr)error.Length);
            if (code != Native.Ok)
            {
                int end = Array.IndexOf(error, (byte)0);
                throw new TimException(code, Encoding.UTF8.GetString(error, 0, end));
            }
            return handle;
        }

        private static void WriteJson(object value, StringBuilder json)
        {
            var map = value as IDictionary<string, object>;
            var text = value as string;
            if (map != null)
            {
                string separator = "{";
                foreach (KeyValuePair<string, object> pair in map)
                {
                    json.Append(separator);
                    WriteJson(pair.Key, json);
                    json.Append(':');
                    WriteJson(pair.Value, json);
                    separator = ",";
                }
                json.Append(separator == "{" ? "{}" : "}");
            }
            else if (text != null)
            {
                json.Append('"');
                foreach (char c in text)
                {
                    if (c < ' ' || c == '"' || c == '\\') json.AppendFormat("\\u{0:x4}", (int)c);
                    else json.Append(c);
                }
                json.Append('"');
            }
            else if (value is bool)
            {
                json.Append((bool)value ? "true" : "false");
            }
            else
            {
                json.Append(value == null ? "null" : Convert.ToString(value, CultureInfo.InvariantCulture));
            }
        }

        // What the event thread knows.
        private sealed class Core
        {
            internal readonly ulong Handle;
            private readonly Thread thread;
            private readonly Dictionary<long, TaskCompletionSource<bool>> pending =
                new Dictionary<long, TaskCompletionSource<bool>>();
            private long last;

            internal event EventHandler<ConnectionChangedEventArgs> ConnectionChanged;
            internal event EventHandler<SessionEndedEventArgs> KickedOffline;
            internal event EventHandler<SessionEndedEventArgs> UserSigExpired;
            internal event EventHandler<UserSigExpiringEventArgs> UserSigExpiring;
            internal event EventHandler Closed;

            internal Core(ulong handle)
            {
                Handle = handle;
                thread = new Thread(TakeEvents) { IsBackground = true, Name = "TimLogin" };
            }

            internal void Start()
            {
                thread.Start();
            }

            internal void Join()
            {
                if (Thread.CurrentThread != thread) thread.Join();
            }

            internal Task Call(Func<IntPtr, int> start)
            {
                var done = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
                long number;
                lock (pending)
                {
                    number = ++last;
                    pending.Add(number, done);
                }
                int code = start((IntPtr)number);
                if (code != Native.Ok)
                {
                    lock (pending) pending.Remove(number);
                    done.SetException(new TimException(code));
                }
                return done.Task;
            }

            private void TakeEvents()
            {
                var taken = new Native.Event();
                do
                {
                    taken.Size = (uint)Marshal.SizeOf(typeof(Native.Event));
                    if (Native.tim_poll_event(Handle, -1, ref taken) != Native.Ok) return;
                    Deliver(taken);
                }
                while (taken.Type != Native.ClosedEvent);
            }

            private void Deliver(Native.Event taken)
            {
                string message = Native.Text(taken.Message);
                long loginId = (long)taken.LoginId;
                switch (taken.Type)
                {
                    case Native.Completion:
                        TaskCompletionSource<bool> done;
                        lock (pending)
                        {
                            pending.TryGetValue((long)taken.UserData, out done);
                            pending.Remove((long)taken.UserData);
                        }
                        if (done == null) return;
                        if (taken.Code == Native.Ok) done.SetResult(true);
                        else done.SetException(new TimException(taken.Code));
                        break;
                    case Native.Connection:
                        Raise(ConnectionChanged, new ConnectionChangedEventArgs
                        {
                            Status = (ConnectionStatus)taken.ConnectionStatus,
                            Code = taken.Code,
                            Message = message,
                            LoginId = loginId,
                        });
                        break;
                    case Native.UserSigExpired:
                        Raise(UserSigExpired, new SessionEndedEventArgs
                        {
                            Code = taken.Code, Message = message, LoginId = loginId, KickInfo = "{}",
                        });
                        break;
                    case Native.KickedOffline:
                        Raise(KickedOffline, new SessionEndedEventArgs
                        {
                            Code = taken.Code, Message = message, LoginId = loginId,
                            KickInfo = Native.Text(Native.tim_get_kick_info, Handle),
                        });
                        break;
                    case Native.UserSigExpiring:
                        Raise(UserSigExpiring, new UserSigExpiringEventArgs
                        {
                            SecondsLeft = taken.SecondsLeft, LoginId = loginId,
                        });
                        break;
                    case Native.ClosedEvent:
                        EventHandler closed = Closed;
                        if (closed != null) closed(this, EventArgs.Empty);
                        break;
                }
            }

            private void Raise<T>(EventHandler<T> handler, T args) where T : EventArgs
            {
                if (handler != null) handler(this, args);
            }
        }
    }

    internal static class Native
    {
        internal const int Ok = 0;
        internal const int BufferTooSmall = 7709;
        internal const int Completion = 1;
        internal const int Connection = 2;
        internal const int UserSigExpired = 3;
        internal const int KickedOffline = 4;
        internal const int UserSigExpiring = 5;
        internal const int ClosedEvent = 6;
        private const string Library = "tim";

        // tim_event of tim.h.
        [StructLayout(LayoutKind.Sequential)]
        internal struct Event
        {
            internal uint Size;
            internal int Type;
            internal int Code;
            internal int ConnectionStatus;
            internal int LoginStatus;
            internal int IsRetryable;
            internal ulong LoginId;
            internal long SecondsLeft;
            internal IntPtr UserData;
            internal IntPtr Message;
        }

        internal delegate int CopyOut(ulong client, byte[] buffer, UIntPtr capacity, out UIntPtr length);

        [DllImport(Library)]
        internal static extern int tim_client_create(
            byte[] config, out ulong client, byte[] error, UIntPtr capacity);

        [DllImport(Library)]
        internal static extern int tim_client_destroy(ulong client, int timeoutMs);

        [DllImport(Library)]
        internal static extern int tim_login(
            ulong client, byte[] userId, byte[] userSig, IntPtr callback, IntPtr userData);

        [DllImport(Library)]
        internal static extern int tim_logout(ulong client, IntPtr callback, IntPtr userData);

        [DllImport(Library)]
        internal static extern int tim_renew_user_sig(
            ulong client, byte[] userSig, IntPtr callback, IntPtr userData);

        [DllImport(Library)]
        internal static extern int tim_notify(ulong client, int hint);

        [DllImport(Library)]
        internal static extern int tim_poll_event(ulong client, int timeoutMs, ref Event taken);

        [DllImport(Library)]
        internal static extern int tim_get_login_status(ulong client);

        [DllImport(Library)]
        internal static extern int tim_get_connection_status(ulong client);

        [DllImport(Library)]
        internal static extern int tim_get_login_user(
            ulong client, byte[] buffer, UIntPtr capacity, out UIntPtr length);

        [DllImport(Library)]
        internal static extern int tim_get_kick_info(
            ulong client, byte[] buffer, UIntPtr capacity, out UIntPtr length);

        [DllImport(Library)]
        internal static extern int tim_get_last_error(
            ulong client, byte[] buffer, UIntPtr capacity, out UIntPtr length);

        [DllImport(Library)]
        internal static extern IntPtr tim_error_name(int code);

        [DllImport(Library)]
        internal static extern IntPtr tim_error_message(int code);

        [DllImport(Library)]
        internal static extern int tim_error_is_retryable(int code);

        // What a function copies out; empty where it has nothing.
        internal static string Text(CopyOut function, ulong client)
        {
            for (int capacity = 256; ;)
            {
                var buffer = new byte[capacity];
                UIntPtr length;
                int code = function(client, buffer, (UIntPtr)capacity, out length);
                if (code != BufferTooSmall)
                    return code == Ok ? Encoding.UTF8.GetString(buffer, 0, (int)length) : "";
                capacity = (int)length + 1;
            }
        }

        internal static string Text(IntPtr text)
        {
            if (text == IntPtr.Zero) return "";
            int length = 0;
            while (Marshal.ReadByte(text, length) != 0) length++;
            var bytes = new byte[length];
            Marshal.Copy(text, bytes, 0, length);
            return Encoding.UTF8.GetString(bytes);
        }

        // A text for C, which a NUL would end early.
        internal static byte[] Text(string text, int code)
        {
            if (text == null) throw new ArgumentNullException("text");
            if (text.IndexOf('\0') >= 0) throw new TimException(code);
            return Encoding.UTF8.GetBytes(text + "\0");
        }
    }
}
