// The part of a client that its event thread knows: it takes completions and events.

using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Runtime.Serialization;
using System.Threading;
using System.Threading.Tasks;

namespace TimLogin
{
    internal sealed class Core
    {
        internal readonly ulong Handle;
        private readonly Thread thread;
        private readonly Dictionary<long, TaskCompletionSource<bool>> pending =
            new Dictionary<long, TaskCompletionSource<bool>>();
        private long last;
        private volatile bool exiting;

        internal Core(ulong handle)
        {
            Handle = handle;
            thread = new Thread(TakeEvents) { IsBackground = true, Name = "TimLogin" };
            AppDomain.CurrentDomain.ProcessExit += EndWait;
            thread.Start();
        }

        internal event EventHandler<ConnectionChangedEventArgs> ConnectionChanged;
        internal event EventHandler<KickedOfflineEventArgs> KickedOffline;
        internal event EventHandler<UserSigExpiredEventArgs> UserSigExpired;
        internal event EventHandler<UserSigExpiringEventArgs> UserSigExpiring;
        internal event EventHandler Closed;

        // Known from the first handler on: a client that somebody listens to is not collected.
        internal TimClient Sender { private get; set; }

        internal void Join()
        {
            if (Thread.CurrentThread != thread) thread.Join();
        }

        // Makes a call. Its task refers to the client, which is not collected before the call has completed.
        internal Task Call(TimClient client, Func<IntPtr, int> start)
        {
            var done = new TaskCompletionSource<bool>(client, TaskCreationOptions.RunContinuationsAsynchronously);
            long number;
            lock (pending)
            {
                number = ++last;
                pending.Add(number, done);
            }
            int code = start((IntPtr)number);
            if (code != Native.Ok) Take(number).SetException(new TimException(code));
            return done.Task;
        }

        private TaskCompletionSource<bool> Take(long number)
        {
            lock (pending)
            {
                TaskCompletionSource<bool> done = pending[number];
                pending.Remove(number);
                return done;
            }
        }

        private void TakeEvents()
        {
            for (var taken = new Native.Event(); taken.Type != Native.ClosedEvent && Poll(ref taken) && !exiting;)
                Deliver(taken);
            AppDomain.CurrentDomain.ProcessExit -= EndWait;
        }

        private bool Poll(ref Native.Event taken)
        {
            taken.Size = (uint)Marshal.SizeOf(typeof(Native.Event));
            return Native.tim_poll_event(Handle, -1, ref taken) == Native.Ok;
        }

        // At exit, Mono waits for every thread to return from native code.
        private void EndWait(object sender, EventArgs e)
        {
            exiting = true;
            Native.tim_client_destroy(Handle, 0);
        }

        private void Deliver(Native.Event taken)
        {
            string message = Native.Text(taken.Message);
            long loginId = (long)taken.LoginId;
            switch (taken.Type)
            {
                case Native.Completion:
                    TaskCompletionSource<bool> done = Take((long)taken.UserData);
                    if (taken.Code == Native.Ok) done.SetResult(true);
                    else done.SetException(Failure(taken.Code));
                    break;
                case Native.Connection:
                    ConnectionChanged?.Invoke(Sender, new ConnectionChangedEventArgs
                    {
                        Status = (ConnectionStatus)taken.ConnectionStatus,
                        Code = taken.Code,
                        Message = message,
                        LoginId = loginId,
                    });
                    break;
                case Native.UserSigExpired:
                    UserSigExpired?.Invoke(Sender, new UserSigExpiredEventArgs
                    {
                        Code = taken.Code, Message = message, LoginId = loginId,
                    });
                    break;
                case Native.KickedOffline:
                    KickedOffline?.Invoke(Sender, new KickedOfflineEventArgs
                    {
                        Code = taken.Code, Message = message, LoginId = loginId, By = KickInfo(loginId),
                    });
                    break;
                case Native.UserSigExpiring:
                    UserSigExpiring?.Invoke(Sender, new UserSigExpiringEventArgs
                    {
                        SecondsLeft = taken.SecondsLeft, LoginId = loginId,
                    });
                    break;
                case Native.ClosedEvent:
                    Closed?.Invoke(Sender, EventArgs.Empty);
                    break;
            }
        }

        private TimException Failure(int code)
        {
            string json = Native.Text(Native.tim_get_last_error, Handle);
            LastError last = json == "" ? new LastError() : Json.Read<LastError>(json);
            return new TimException(code, last.Code == code ? last.RetryAfterMs : 0);
        }

        private KickInfo KickInfo(long loginId)
        {
            string json = Native.Text(Native.tim_get_kick_info, Handle);
            KickInfo info = json == "" ? null : Json.Read<KickInfo>(json);
            return info != null && info.LoginId == loginId ? info : null;
        }

        [DataContract]
        private sealed class LastError
        {
            [DataMember(Name = "code")]
            internal int Code { get; set; }

            [DataMember(Name = "retry_after_ms")]
            internal long RetryAfterMs { get; set; }
        }
    }
}
