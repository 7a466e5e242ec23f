// Tests of TimLogin.cs against a real server. usage: mono Test.exe TIM_SERVER
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Threading;
using System.Threading.Tasks;
using TimLogin;

internal static class Test
{
    private static int checks;
    private static string program, data, address = "127.0.0.1:0";
    private static Process server;

    private static void Check(bool holds, string what)
    {
        checks++;
        if (holds) return;
        Console.Error.WriteLine("expected: " + what);
        server.Kill();
        Environment.Exit(1);
    }

    private static void Is<T>(T wanted, T found)
    {
        Check(Equals(wanted, found), wanted + ", found " + found);
    }

    private static void StartServer()
    {
        server = Process.Start(new ProcessStartInfo(program, "serve --listen " + address + " --data-dir " + data)
        {
            UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true,
        });
        server.ErrorDataReceived += (sender, line) => { };
        server.BeginErrorReadLine();
        string ready = server.StandardOutput.ReadLine();
        address = ready.Substring(ready.LastIndexOf("http=", StringComparison.Ordinal) + 5);
    }

    private static void KillServer()
    {
        server.Kill();
        server.WaitForExit();
    }

    private static string Ticket(string user, int seconds = 3600)
    {
        string arguments = "usersig --user-id " + user + " --expire " + seconds + " --data-dir " + data;
        var usersig = Process.Start(new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false, RedirectStandardOutput = true,
        });
        return usersig.StandardOutput.ReadToEnd().Trim();
    }

    private static Dictionary<string, object> Config(string device)
    {
        return new Dictionary<string, object>
        {
            { "server_url", "http://" + address },
            { "sdk_app_id", uint.Parse(File.ReadAllText(Path.Combine(data, "sdk_app_id"))) },
            { "device_id", device },
            { "device_name", "my \"" + device + "\"" },
            { "reconnect", new Dictionary<string, object> { { "first_ms", 10 }, { "max_ms", 100 } } },
        };
    }

    private static BlockingCollection<string> Watch(TimClient client)
    {
        var events = new BlockingCollection<string>();
        client.ConnectionChanged += (sender, e) => events.Add(e.Status.ToString());
        client.KickedOffline += (sender, e) => events.Add("Kicked " + e.Code + " " + e.KickInfo);
        client.UserSigExpiring += (sender, e) => events.Add("Expiring " + e.SecondsLeft);
        client.UserSigExpired += (sender, e) => events.Add("Expired " + e.Code);
        client.Closed += (sender, e) => events.Add("Closed");
        return events;
    }

    private static string Await(BlockingCollection<string> events, string begin)
    {
        string found;
        do Check(events.TryTake(out found, 60000), begin);
        while (!found.StartsWith(begin, StringComparison.Ordinal));
        return found;
    }

    private static TimException Failure(Task call)
    {
        try
        {
            call.Wait();
        }
        catch (AggregateException error)
        {
            return (TimException)error.InnerException;
        }
        Check(false, "a failure");
        return null;
    }

    private static int CodeOf(Action call)
    {
        try
        {
            call();
        }
        catch (TimException error)
        {
            return error.Code;
        }
        return 0;
    }

    private static void ALoginMakesTheUserAndALogoutEndsIt()
    {
        var client = new TimClient(Config("phone"));
        BlockingCollection<string> events = Watch(client);
        Is(LoginStatus.LoggedOut, client.Status);
        client.LoginAsync("alice", Ticket("alice")).Wait();
        Is(LoginStatus.LoggedIn, client.Status);
        Is("alice", client.User);
        Await(events, "Connected");
        Is(ConnectionStatus.Connected, client.Connection);
        client.Notify(Hint.Foreground);
        client.RenewUserSigAsync(Ticket("alice")).Wait();
        client.LoginAsync("bob", Ticket("bob")).Wait();
        Is("bob", client.User);
        client.LogoutAsync().Wait();
        Is("", client.User);
        client.Dispose();
        Await(events, "Closed");
    }

    private static void ARefusalHasItsCodeAndWords()
    {
        using (var client = new TimClient(Config("phone")))
        {
            TimException refused = Failure(client.LoginAsync("bob", Ticket("alice")));
            Is(70013, refused.Code);
            Is("TIM_ERR_USER_SIG_OTHER_USER", refused.CodeName);
            Check(refused.Message.Contains("another user") && !refused.IsRetryable, refused.Message);
            Is(7003, Failure(client.LoginAsync("", "x")).Code);
            Is(7003, CodeOf(() => client.LoginAsync("a\0b", "x")));
        }
        var wrong = new Dictionary<string, object> { { "server_url", "http://127.0.0.1:1" } };
        Is(7719, CodeOf(() => new TimClient(wrong).Dispose()));
    }

    private static void AKickSaysWhoDidIt()
    {
        using (var phone = new TimClient(Config("phone")))
        using (var tablet = new TimClient(Config("tablet")))
        {
            BlockingCollection<string> events = Watch(phone);
            phone.LoginAsync("alice", Ticket("alice")).Wait();
            tablet.LoginAsync("alice", Ticket("alice")).Wait();
            string kick = Await(events, "Kicked 6208");
            Check(kick.Contains("my \\\"tablet\\\""), kick);
            Is(LoginStatus.LoggedOut, phone.Status);
        }
    }

    private static void ATicketIsReportedBeforeAndAfterItsEnd()
    {
        using (var client = new TimClient(Config("phone")))
        {
            BlockingCollection<string> events = Watch(client);
            client.LoginAsync("alice", Ticket("alice", 2)).Wait();
            Await(events, "Expiring");
            Await(events, "Expired 70001");
        }
    }

    private static void ARestartOfTheServerSignsNobodyOut()
    {
        using (var client = new TimClient(Config("phone")))
        {
            BlockingCollection<string> events = Watch(client);
            client.LoginAsync("alice", Ticket("alice")).Wait();
            Await(events, "Connected");
            KillServer();
            // Which status it is depends on how soon it is taken: events are coalesced.
            while (events.Take() == "Connected") { }
            Is(LoginStatus.LoggedIn, client.Status);
            StartServer();
            Await(events, "Connected");
            Is("alice", client.User);
        }
    }

    private static void DisposeDuringALoginFailsItAndMayBeCalledInAnEvent()
    {
        Dictionary<string, object> config = Config("phone");
        config["server_url"] = "http://127.0.0.1:1";
        var client = new TimClient(config);
        Task login = client.LoginAsync("alice", "ticket");
        client.Dispose();
        Is(7009, Failure(login).Code);
        Is(LoginStatus.None, client.Status);
        Is(7705, Failure(client.LogoutAsync()).Code);
        client.Dispose();

        // No server is there: the login cannot complete before the first event is taken.
        var inside = new TimClient(config);
        BlockingCollection<string> events = Watch(inside);
        inside.ConnectionChanged += (sender, e) => inside.Dispose();
        Is(7009, Failure(inside.LoginAsync("alice", Ticket("alice"))).Code);
        Await(events, "Closed");
    }

    private static void Forget(Dictionary<string, object> config)
    {
        new TimClient(config).LoginAsync("alice", Ticket("alice")).Wait();
    }

    private static void ClientsComeAndGoAndAForgottenOneIsClosed()
    {
        Dictionary<string, object> config = Config("same");
        for (int round = 0; round < 1000; round++) new TimClient(config).Dispose();
        var forgetful = new Thread(() => Forget(config)); // its stack keeps no reference
        forgetful.Start();
        forgetful.Join();
        int code;
        do
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            code = CodeOf(() => new TimClient(config).Dispose());
        }
        while (code == 7706);
        Is(0, code);
    }

    private static int Main(string[] arguments)
    {
        program = arguments[0];
        data = Path.Combine(Path.GetTempPath(), "timlogin-" + Guid.NewGuid().ToString("N"));
        StartServer();
        ALoginMakesTheUserAndALogoutEndsIt();
        ARefusalHasItsCodeAndWords();
        AKickSaysWhoDidIt();
        ATicketIsReportedBeforeAndAfterItsEnd();
        ARestartOfTheServerSignsNobodyOut();
        DisposeDuringALoginFailsItAndMayBeCalledInAnEvent();
        ClientsComeAndGoAndAForgottenOneIsClosed();
        KillServer();
        Directory.Delete(data, true);
        Console.WriteLine("C#: pass (" + checks + " checks)");
        return 0;
    }
}
