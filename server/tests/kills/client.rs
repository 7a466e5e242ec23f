//! A client with many users, which remembers what the server has acknowledged about each.

use crate::process::random::Random;
use crate::process::{Server, login, posted, resume, ticket};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// How many of the users that nothing happened to are checked in each round.
const SAMPLE: usize = 10;
/// A client that resumes somebody else's session.
const STRANGER: u8 = 255;
const DISPLACED: i64 = 6208;
const BANNED: i64 = 70051;
const REVOKED: i64 = 70052;

/// What the server last acknowledged about a user.
#[derive(Clone, Copy, PartialEq)]
enum State {
    LoggedIn,
    LoggedOut,
    /// Kicked or banned by the operator, with this code: they stay away from now on.
    ShutOut(i64),
    /// The server was killed before the answer came: it may have happened or not.
    Unknown,
}

struct User {
    user_id: String,
    state: State,
    /// Their current or last session.
    session: Value,
    /// Sessions that have ended, by their tokens.
    ended: Vec<Value>,
    /// Distinguishes their devices.
    which: u8,
    login_no: u64,
    seq: u64,
    /// The server has seen their session since it started. If not, it cannot know that a login
    /// displaces it: its end is then not something the server has acknowledged.
    seen: bool,
    /// Something has happened to them in this round.
    touched: bool,
    /// Their history, for whoever investigates a failure.
    story: Vec<String>,
}

/// The requests to the server.
#[derive(Clone, Copy, Debug)]
enum Deed {
    LogIn,
    LogInElsewhere,
    Renew,
    LogOut,
    Kick,
    Ban,
}

impl User {
    fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// Sends the request; returns the status and body, or `None` if the server is gone.
    fn ask(&mut self, deed: Deed, server: &Server, open: &mut Vec<TcpStream>) -> Option<Value> {
        let seq = self.next_seq();
        self.story
            .push(format!("told to {deed:?} as request {seq}"));
        let (path, body) = match deed {
            Deed::LogIn | Deed::LogInElsewhere => {
                if matches!(deed, Deed::LogInElsewhere) {
                    self.which = 1 + self.which % 200;
                }
                self.login_no += 1;
                let login = login(&self.user_id, self.which, self.login_no, seq);
                ("/v1/login".to_owned(), login)
            }
            Deed::Renew => {
                let mut renewal = resume(&self.session, self.which, self.login_no, seq);
                renewal["user_sig"] = ticket(&self.user_id, 7200).into();
                ("/v1/resume".to_owned(), renewal)
            }
            Deed::LogOut => {
                let logout = json!({"session": self.session["session"], "seq": seq});
                ("/v1/logout".to_owned(), logout)
            }
            Deed::Kick => {
                let query = crate::process::admin::admin_query();
                let path = format!("/v4/im_open_login_svc/kick?{query}");
                (path, json!({"UserID": self.user_id}))
            }
            Deed::Ban => (format!("/v1/users/{}/ban", self.user_id), json!({})),
        };
        let address = match deed {
            Deed::Kick | Deed::Ban => server.admin.as_ref().unwrap(),
            _ => &server.address,
        };
        let mut request = posted(&path, &body.to_string());
        if matches!(deed, Deed::Ban) {
            let bearer = ticket("administrator", 3600);
            let head = format!("PUT {path} HTTP/1.1\r\nAuthorization: Bearer {bearer}\r\n");
            request = request.replacen(&format!("POST {path} HTTP/1.1\r\n"), &head, 1);
        }
        let mut stream = TcpStream::connect(address).ok()?;
        let patience = Duration::from_secs(30);
        stream.set_read_timeout(Some(patience)).unwrap();
        stream.write_all(request.as_bytes()).ok()?;
        let (status, said) = answer(&mut stream)?;
        assert_eq!(status, 200, "{}: {said}", self.user_id);
        open.push(stream);
        Some(said)
    }

    /// Remembers the server's answer.
    fn hears(&mut self, deed: Deed, said: Value) {
        self.story.push(format!("told {}", said["epoch"]));
        let former = self.session.clone();
        match deed {
            Deed::LogIn | Deed::LogInElsewhere => {
                if self.state == State::LoggedIn && self.seen {
                    self.ended.push(former);
                }
                (self.state, self.session) = (State::LoggedIn, said);
                self.seen = true;
            }
            Deed::Renew => {
                self.session = said;
                self.seen = true;
            }
            Deed::LogOut => {
                self.ended.push(former);
                self.state = State::LoggedOut;
            }
            Deed::Kick | Deed::Ban => {
                assert!(said.get("ErrorCode").is_none_or(|code| code == 0), "{said}");
                self.ended.push(former);
                let kicked = matches!(deed, Deed::Kick);
                self.state = State::ShutOut(if kicked { REVOKED } else { BANNED });
            }
        }
    }

    /// Checks everything that the server has said about this user.
    fn is_as_acknowledged(&mut self, server: &Server) {
        self.story.push("looked after".to_owned());
        let user_id = self.user_id.clone();
        let account = &server.user(&user_id)["account"];
        assert!(account.is_object(), "{user_id} has no account");
        if let State::ShutOut(code) = self.state {
            let session = self.session.clone();
            let (_, refused) = self.resumes_as_a_stranger(server, &session);
            assert_eq!(refused, code, "{user_id} was shut out");
        }
        for session in self.ended.clone() {
            let (status, code) = self.resumes_as_a_stranger(server, &session);
            let ended = [DISPLACED, BANNED, REVOKED].contains(&code);
            assert!(ended, "{user_id} had logged out: {status}, {code}");
        }
        if self.state == State::LoggedIn {
            let seq = self.next_seq();
            let resume = resume(&self.session, self.which, self.login_no, seq);
            let mut answer = server.post("/v1/resume", &resume);
            if answer.status != 200 {
                panic!("{user_id} was logged in: {}", answer.json());
            }
            self.session = answer.event().unwrap().1;
            self.seen = true;
        }
    }

    /// The answer to somebody who has found the token of a session.
    fn resumes_as_a_stranger(&mut self, server: &Server, session: &Value) -> (u16, i64) {
        let seq = self.next_seq();
        let mut answer = server.post("/v1/resume", &resume(session, STRANGER, 1, seq));
        let epoch = &session["epoch"];
        assert_ne!(answer.status, 200, "{epoch} came back: {:#?}", self.story);
        (answer.status, answer.json()["code"].as_i64().unwrap())
    }
}

/// A status with its JSON, or with the data of a stream's first event; `None` if the connection
/// ends before that is complete.
fn answer(stream: &mut TcpStream) -> Option<(u16, Value)> {
    let mut bytes = Vec::new();
    loop {
        let mut more = [0; 4096];
        let count = stream.read(&mut more).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&more[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let status = head.get(9..12)?.parse().ok()?;
        let said = match body.split_once("\ndata: ") {
            Some((_, data)) => data.split_once("\n\n").map(|(data, _)| data),
            None => Some(body),
        };
        if let Some(said) = said.and_then(|said| serde_json::from_str(said).ok()) {
            return Some((status, said));
        }
    }
}

/// A client, whose users nobody else knows.
pub struct Client {
    name: usize,
    random: Random,
    users: Vec<User>,
}

impl Client {
    pub fn new(name: usize, seed: u64) -> Client {
        Client {
            name,
            random: Random::new(seed),
            users: Vec::new(),
        }
    }

    pub fn users(&self) -> usize {
        self.users.len()
    }

    /// Sends random requests until the server is gone, and reports each outcome.
    pub fn lives(&mut self, server: &Server, tell: &Sender<()>) {
        let mut open = Vec::new();
        loop {
            let (at, deed) = self.next();
            // An unacknowledged account is not one to look for.
            let is_new = at == self.users.len();
            let mut user = if is_new {
                self.new_user()
            } else {
                self.users.swap_remove(at)
            };
            user.touched = true;
            let said = user.ask(deed, server, &mut open);
            let gone = said.is_none();
            match said {
                Some(said) => user.hears(deed, said),
                None => user.state = State::Unknown,
            }
            if !(gone && is_new) {
                self.users.push(user);
            }
            if gone {
                return;
            }
            // The counting thread may have seen enough.
            let _ = tell.send(());
        }
    }

    /// The next user and request: the index after the last is a new user.
    fn next(&mut self) -> (usize, Deed) {
        let new = (self.users.len(), Deed::LogIn);
        if self.users.is_empty() || self.random.below(3) == 0 {
            return new;
        }
        let at = self.random.below(self.users.len());
        let deed = match (self.users[at].state, self.random.below(14)) {
            (State::LoggedIn, 0..3) | (State::LoggedOut, 0..7) => Deed::LogIn,
            (State::LoggedIn, 3..6) | (State::LoggedOut, _) => Deed::LogInElsewhere,
            (State::LoggedIn, 6..9) => Deed::Renew,
            (State::LoggedIn, 9..12) => Deed::LogOut,
            (State::LoggedIn, 12) => Deed::Kick,
            (State::LoggedIn, _) => Deed::Ban,
            (State::ShutOut(_) | State::Unknown, _) => return new,
        };
        (at, deed)
    }

    fn new_user(&mut self) -> User {
        User {
            user_id: format!("user.{}.{:x}", self.name, self.random.number()),
            state: State::LoggedOut,
            session: Value::Null,
            ended: Vec::new(),
            which: 1,
            login_no: 0,
            seq: 0,
            seen: false,
            touched: true,
            story: Vec::new(),
        }
    }

    /// Checks the users of this round, and some earlier ones.
    pub fn finds_what_was_acknowledged(&mut self, server: &Server) {
        for user in &mut self.users {
            user.seen = false;
        }
        let mut user_ids: Vec<usize> = (0..self.users.len())
            .filter(|at| std::mem::take(&mut self.users[*at].touched))
            .collect();
        if !self.users.is_empty() {
            let sample = (0..SAMPLE).map(|_| self.random.below(self.users.len()));
            user_ids.extend(sample);
        }
        for at in user_ids {
            self.users[at].is_as_acknowledged(server);
        }
    }

    pub fn finds_everything(&mut self, server: &Server) {
        for user in &mut self.users {
            user.is_as_acknowledged(server);
        }
    }
}
