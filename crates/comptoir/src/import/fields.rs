/// Splits lines of a CSV file into fields, line by line, so that a quote that is never closed cannot swallow the rest of
/// the file: the caller decides how many lines one record may span.
#[derive(Debug)]
pub(super) struct Fields {
    delimiter: u8,
    text: Vec<u8>,
    ends: Vec<usize>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing of the field was read.
    Start,
    /// Between quotes.
    Quoted,
    /// After a quote between quotes: the end, or the first of a pair that stands for one.
    QuoteSeen,
    /// Not between quotes; a quote stands for itself.
    Plain,
}

/// How far a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// It ends with the line.
    Complete,
    /// A quote is open: it goes on in the next line.
    Open,
    /// It is none: there is text behind a closing quote.
    Malformed,
}

impl Fields {
    pub(super) fn new(delimiter: u8) -> Self {
        Self { delimiter, text: Vec::new(), ends: Vec::new(), state: State::Start }
    }

    /// Forgets the record before.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.state = State::Start;
    }

    /// Adds a line without its line break. Quotes are taken strictly: leniency would let a forgotten quote join with one of a
    /// later line, and what lies between would be lost in a field.
    pub(super) fn add(&mut self, line: &[u8]) -> Extent {
        if self.state == State::Quoted {
            self.text.push(b'\n');
        }
        for &byte in line {
            self.state = match (self.state, byte) {
                (State::Start, b'"') => State::Quoted,
                (State::Quoted, b'"') => State::QuoteSeen,
                (State::Quoted, _) => self.keep(byte, State::Quoted),
                (State::QuoteSeen, b'"') => self.keep(byte, State::Quoted),
                (_, byte) if byte == self.delimiter => {
                    self.ends.push(self.text.len());
                    State::Start
                }
                (State::QuoteSeen, _) => return Extent::Malformed,
                (State::Start | State::Plain, _) => self.keep(byte, State::Plain),
            };
        }
        if self.state == State::Quoted {
            return Extent::Open;
        }
        self.ends.push(self.text.len());
        Extent::Complete
    }

    /// Returns the number of fields.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns a field.
    pub(super) fn get(&self, index: usize) -> &[u8] {
        let begin = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[begin..self.ends[index]]
    }

    fn keep(&mut self, byte: u8, state: State) -> State {
        self.text.push(byte);
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(lines: &[&str]) -> Result<Vec<String>, Extent> {
        let mut fields = Fields::new(b',');
        let extent = lines.iter().fold(Extent::Open, |_, line| fields.add(line.as_bytes()));
        let text = |index| String::from_utf8_lossy(fields.get(index)).into_owned();
        if extent == Extent::Complete { Ok((0..fields.len()).map(text).collect()) } else { Err(extent) }
    }

    #[test]
    fn quotes_protect_delimiters_quotes_and_line_breaks() {
        let cases: [(&[&str], &[&str]); 6] = [
            (&["a,b,,c"], &["a", "b", "", "c"]),
            (&[""], &[""]),
            (&["a,"], &["a", ""]),
            (&[r#""a,b","say ""hi""""#], &["a,b", r#"say "hi""#]),
            (&[r#"7" record,"x","""#], &[r#"7" record"#, "x", ""]),
            (&[r#""two"#, r#"lines",z"#], &["two\nlines", "z"]),
        ];
        for (lines, expected) in cases {
            let expected: Vec<_> = expected.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(split(lines), Ok(expected), "{lines:?}");
        }
        assert_eq!(split(&[r#"a,"b"#]), Err(Extent::Open));
        assert_eq!(split(&[r#"a,"b"c,d"#]), Err(Extent::Malformed));
    }
}
