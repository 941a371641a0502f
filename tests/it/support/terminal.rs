//! A terminal that a test holds: what a program writes on it, and what stands on its screen.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A program whose standard output and standard error are a terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    master: OwnedFd,
    child: Child,
    written: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

impl Terminal {
    /// Starts `command` on a terminal of this size.
    pub(crate) fn start(mut command: Command, rows: u16, columns: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal is made");
        grantpt(&master).expect("a terminal of its own");
        unlockpt(&master).expect("a terminal that can be opened");
        tcsetwinsize(&master, size(rows, columns)).expect("a size");
        let name = ptsname(&master, Vec::new()).expect("a name");
        let side = || {
            let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
            Stdio::from(open(name.as_c_str(), flags, Mode::empty()).expect("the other side"))
        };
        command.env("TERM", "xterm").stdout(side()).stderr(side());
        let child = command.spawn().expect("the program starts");
        // The command holds the other side, which has to be closed for the terminal to end.
        drop(command);
        let written = Arc::new(Mutex::new(Vec::new()));
        let (sink, source) = (Arc::clone(&written), master.try_clone().expect("a file"));
        let reader = std::thread::spawn(move || {
            let (mut source, mut buffer) = (File::from(source), [0; 4096]);
            // A terminal that nobody holds any more ends with an error.
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                sink.lock().expect("no reader fails").extend_from_slice(&buffer[..count]);
            }
        });
        Self { master, child, written, reader }
    }

    /// All that was written so far.
    pub(crate) fn written(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().expect("no reader fails")).into_owned()
    }

    /// Changes the size of the window.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        tcsetwinsize(&self.master, size(rows, columns)).expect("a size");
    }

    /// Asks the program to end, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), Signal::INT).expect("a signal");
    }

    /// Waits for the program's end: its exit code, and all that was written.
    pub(crate) fn end(mut self) -> (i32, String) {
        let status = self.child.wait().expect("the program ends");
        self.reader.join().expect("the reader ends");
        let written = self.written.lock().expect("no reader fails");
        (status.code().unwrap_or(-1), String::from_utf8_lossy(&written).into_owned())
    }
}

/// What stands on a screen of so many columns, and of endless height, after `written`.
pub(crate) fn screen(written: &str, columns: usize) -> String {
    let mut screen = Screen { columns, ..Screen::default() };
    let mut rest = written.chars();
    while let Some(c) = rest.next() {
        if c != '\u{1b}' {
            screen.put(c);
            continue;
        }
        assert_eq!(rest.next(), Some('['), "only sequences that begin so are known");
        let mut number = String::new();
        let end = rest.find(|c| {
            number.push(*c);
            c.is_ascii_alphabetic()
        });
        number.pop();
        screen.obey(end.expect("a sequence ends"), number.parse().unwrap_or(1));
    }
    let lines: Vec<String> = screen.lines.iter().map(|line| line.iter().collect()).collect();
    let lines: Vec<&str> = lines.iter().map(|line: &String| line.trim_end()).collect();
    lines.join("\n").trim_end().to_owned()
}

#[derive(Default)]
struct Screen {
    lines: Vec<Vec<char>>,
    columns: usize,
    row: usize,
    column: usize,
}

impl Screen {
    fn line(&mut self) -> &mut Vec<char> {
        if self.lines.len() <= self.row {
            self.lines.resize(self.row + 1, Vec::new());
        }
        &mut self.lines[self.row]
    }

    fn put(&mut self, c: char) {
        match c {
            '\n' => self.row += 1,
            '\r' => self.column = 0,
            c => {
                // A full line goes on in the next one when there is something to go on with.
                if self.column == self.columns {
                    (self.row, self.column) = (self.row + 1, 0);
                }
                let column = self.column;
                let line = self.line();
                if line.len() <= column {
                    line.resize(column + 1, ' ');
                }
                line[column] = c;
                self.column += 1;
            }
        }
    }

    fn obey(&mut self, end: char, number: usize) {
        match end {
            'A' => self.row = self.row.saturating_sub(number),
            'B' => self.row += number,
            'C' => self.column += number,
            'D' => self.column = self.column.saturating_sub(number),
            'K' => self.line().clear(),
            'J' => {
                self.line().clear();
                let row = self.row;
                self.lines.truncate(row + 1);
            }
            'm' => {}
            other => panic!("`{other}` is not known"),
        }
    }
}

#[test]
fn a_screen_shows_what_was_not_taken_back() {
    let written = "a\r\nbar\r\u{1b}[2K\u{1b}[1A\u{1b}[32mdone\u{1b}[0m\r\nc";
    assert_eq!(screen(written, 80), "done\nc");
    assert_eq!(screen("abcdef\r\u{1b}[2K\u{1b}[1Ax", 3), "xbc");
}
