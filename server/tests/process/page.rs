//! A page of the documentation: its blocks are run as printed, by a shell, with the page's
//! addresses and folders replaced by the test's.

use super::{Server, login};
use serde_json::Value;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

/// A folder in which the page's commands run.
pub struct Shell {
    page: String,
    /// What the page prints, and what replaces it here.
    places: Vec<(String, String)>,
    directory: tempfile::TempDir,
}

impl Shell {
    pub fn new(page: &str) -> Shell {
        let directory = tempfile::tempdir().unwrap();
        // The page calls the program by the place where it is built.
        std::fs::create_dir_all(directory.path().join("build/bin")).unwrap();
        symlink(
            env!("CARGO_BIN_EXE_tim-server"),
            directory.path().join("build/bin/tim-server"),
        )
        .unwrap();
        let etc = directory.path().join("etc");
        std::fs::create_dir(&etc).unwrap();
        let etc = etc.to_str().unwrap().to_owned();
        Shell {
            page: page.to_owned(),
            places: vec![("/etc/tim-server".to_owned(), etc)],
            directory,
        }
    }

    /// From now on, this replaces what is printed.
    pub fn stands_for(&mut self, printed: &str, here: &str) {
        self.places.push((printed.to_owned(), here.to_owned()));
    }

    /// A text of the page, with the replacements.
    pub fn here(&self, text: &str) -> String {
        let replaced = |text: String, (printed, here): &(String, String)| {
            assert!(!here.contains(printed.as_str()));
            text.replace(printed, here)
        };
        self.places.iter().fold(text.to_owned(), replaced)
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// A fenced block of this language, the first of which is 0.
    pub fn block(&self, language: &str, place: usize) -> String {
        let fence = format!("```{language}\n");
        let mut blocks = self.page.split(fence.as_str()).skip(1);
        let block = blocks.nth(place).and_then(|rest| rest.split("```").next());
        block
            .unwrap_or_else(|| panic!("the page has no block {place} of {language}"))
            .to_owned()
    }

    /// The only block of this language that contains these words.
    pub fn block_with(&self, language: &str, words: &str) -> String {
        let count = self.page.matches(&format!("```{language}\n")).count();
        let mut blocks = (0..count)
            .map(|place| self.block(language, place))
            .filter(|block| block.contains(words));
        let block = blocks.next();
        assert_eq!(blocks.next(), None, "{words} is in two blocks");
        block.unwrap_or_else(|| panic!("the page has no block with {words}"))
    }

    /// Starts the server of a command of the page, on free ports, with these further arguments.
    pub fn start(&self, command: &str, arguments: &str) -> Server {
        let command = self.here(command);
        let command = command
            .trim_end()
            .replace("--admin-listen 7701", "--admin-listen 0");
        let listen = match command.contains("--listen ") {
            true => "",
            false => "--listen 127.0.0.1:0",
        };
        let process = Command::new("sh")
            .args(["-c", &format!("exec {command} {listen} {arguments}")])
            .current_dir(self.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Server::ready(process, tempfile::tempdir().unwrap(), "http")
    }

    /// Runs what the page prints, with this server in place of the page's, and returns its output.
    /// It must succeed.
    pub fn run(&self, server: &Server, script: &str) -> String {
        let places = [
            ("127.0.0.1:7700", Some(&server.address)),
            ("127.0.0.1:7701", server.admin.as_ref()),
            ("127.0.0.1:7702", server.metrics.as_ref()),
        ];
        let mut script = script.to_owned();
        for (printed, place) in places {
            if let Some(place) = place {
                script = script.replace(printed, place);
            }
        }
        self.run_as_it_is(&script)
    }

    /// The same without a server.
    pub fn run_as_it_is(&self, script: &str) -> String {
        let output = Command::new("sh")
            .args(["-e", "-c", &self.here(script)])
            .current_dir(self.path())
            .output()
            .unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{script}\n{errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A ticket of the app in the page's data directory.
    pub fn ticket(&self, user_id: &str) -> String {
        let make = format!("build/bin/tim-server usersig --user-id {user_id}");
        self.run_as_it_is(&make).trim_end().to_owned()
    }

    /// A login to the app in the page's data directory.
    pub fn login(&self, user_id: &str, number: u64) -> Value {
        let app = std::fs::read_to_string(self.path().join("tim-server-data/sdk_app_id")).unwrap();
        let mut login = login(user_id, 1, number, number);
        login["sdk_app_id"] = app.trim_end().parse::<u32>().unwrap().into();
        login["user_sig"] = self.ticket(user_id).into();
        login
    }
}
