// Plays bindings/scenario with this binding. The protocol is in bindings/scenario/README.md.

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.Serialization.Json;
using System.Text;
using System.Text.RegularExpressions;
using System.Threading.Tasks;
using System.Xml;
using System.Xml.Linq;
using TimLogin;

internal static class Player
{
    // UTF-8, whatever the locale.
    private static readonly TextWriter Output =
        TextWriter.Synchronized(new StreamWriter(Console.OpenStandardOutput()) { AutoFlush = true });

    private static readonly Dictionary<string, TimClient> Clients = new Dictionary<string, TimClient>();

    private static void Say(params object[] fields)
    {
        Output.WriteLine(string.Join("\t", fields));
    }

    // LoggedIn is logged_in.
    private static string InWords(Enum status)
    {
        string name = status.ToString();
        return name == "None" ? "closed" : Regex.Replace(name, "(?<!^)([A-Z])", "_$1").ToLowerInvariant();
    }

    private static object Value(XElement json)
    {
        switch ((string)json.Attribute("type"))
        {
            case "object": return json.Elements().ToDictionary(member => member.Name.LocalName, Value);
            case "number": return long.Parse(json.Value);
            case "boolean": return bool.Parse(json.Value);
            default: return json.Value;
        }
    }

    private static void Create(string name, string config)
    {
        byte[] text = Encoding.UTF8.GetBytes(config);
        var json = XElement.Load(JsonReaderWriterFactory.CreateJsonReader(text, XmlDictionaryReaderQuotas.Max));
        var client = new TimClient((Dictionary<string, object>)Value(json));
        client.ConnectionChanged += (_, e) => Say("event", name, "connection", InWords(e.Status), e.Code);
        client.KickedOffline += (_, e) => Say("event", name, "kicked_offline", e.Code, e.By?.DeviceName);
        client.UserSigExpiring += (_, e) => Say("event", name, "user_sig_expiring", e.SecondsLeft);
        client.UserSigExpired += (_, e) => Say("event", name, "user_sig_expired", e.Code);
        Clients[name] = client;
    }

    private static async void Finish(string name, string call, Func<Task> make)
    {
        int code = 0;
        try
        {
            await make();
        }
        catch (TimException error)
        {
            code = error.Code;
        }
        Say("done", name, call, code);
    }

    private static Task Done(Action call)
    {
        call();
        return Task.CompletedTask;
    }

    private static void Answer(string request, string name, string[] fields)
    {
        if (request == "new")
        {
            Finish(name, request, () => Done(() => Create(name, fields[0])));
            return;
        }
        TimClient client = Clients[name];
        switch (request)
        {
            case "login": Finish(name, request, () => client.LoginAsync(fields[0], fields[1])); break;
            case "logout": Finish(name, request, client.LogoutAsync); break;
            case "renew_user_sig": Finish(name, request, () => client.RenewUserSigAsync(fields[0])); break;
            case "notify":
                Hint hint = fields[0] == "foreground" ? Hint.Foreground : Hint.NetworkChanged;
                Finish(name, request, () => Done(() => client.Notify(hint)));
                break;
            case "close": Finish(name, request, () => Task.Run((Action)client.Dispose)); break;
            case "login_status": Say(request, name, InWords(client.Status)); break;
            case "connection_status": Say(request, name, InWords(client.Connection)); break;
            case "login_user": Say(request, name, client.User); break;
            default: throw new ArgumentException("no such request: " + request);
        }
    }

    private static void Main()
    {
        var input = new StreamReader(Console.OpenStandardInput());
        for (string line; (line = input.ReadLine()) != null;)
        {
            string[] fields = line.Split('\t');
            if (fields[0] == "exit") Environment.Exit(0);
            Answer(fields[0], fields[1], fields.Skip(2).ToArray());
        }
    }
}
