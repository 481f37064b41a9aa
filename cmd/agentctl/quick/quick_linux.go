//go:build linux && (amd64 || arm64)

package quick

func init() {
	line, sent := run(arguments(), getenv)
	if line != nil {
		socket(1).write(line) // if it fails, there is nobody to tell
		exit()
	}
	left = sent
}

// environment is that of the process, once it was asked for.
var environment []string

// getenv is os.Getenv.
func getenv(name string) string {
	if environment == nil {
		environment = variables()
	}
	for _, v := range environment {
		if before, value, ok := cut(v, '='); ok && before == name {
			return value
		}
	}
	return ""
}

// spaceBytes is enough for each message of a plain event, and for what is printed.
const spaceBytes = 1 << 10

// run publishes the event of a command line. It returns what to print, if
// the agent has taken the event. Otherwise sent is the event whose answer is
// left to read, or nil if no event was sent.
func run(args []string, getenv func(string) string) (line []byte, sent *Sent) {
	e, ok := parse(args, getenv)
	if !ok {
		return nil, nil
	}
	fd, ok := e.dial()
	if !ok {
		return nil, nil
	}
	space := make([]byte, 0, spaceBytes)
	seq, ok := e.send(fd, space)
	if !ok {
		fd.close()
		return nil, nil
	}
	id, ok := fd.takePlain(seq, space)
	if !ok {
		return nil, &Sent{FD: int(fd), Seq: uint64(seq), Addr: e.where, Name: e.name, Coalesce: e.coalesce, Serf: e.serf}
	}
	fd.close()
	line = append(append(append(space, "Event '"...), e.name...), "' dispatched! Coalescing enabled: "...)
	if e.coalesce {
		line = append(line, "true"...)
	} else {
		line = append(line, "false"...)
	}
	if id != "" && !e.serf {
		line = append(append(line, "\nID: "...), id...)
	}
	return append(line, '\n'), nil
}

// send greets the agent and sends it the event, under seq. It reports false if
// the agent surely has not got the event.
//
// The event waits for the answers to the greeting: an agent that has no key
// refuses one, and takes an event all the same. The command has failed then.
func (e *event) send(fd socket, space []byte) (seq byte, ok bool) {
	greeting, lastSeq := e.greeting(space)
	if !fd.write(greeting) {
		return 0, false
	}
	for seq := byte(firstSeq); seq <= lastSeq; seq += seqStep {
		answer := space[:plainAnswer]
		if !fd.read(answer) || !isPlain(answer, seq) {
			return 0, false
		}
	}
	seq = lastSeq + seqStep
	return seq, fd.write(e.request(space, seq)) // an event that has not gone out whole is none
}

// takePlain waits for an answer. It reads the answer and reports true if it is
// a plain one and all of it has come; else it leaves the answer where it is. The
// answer may have the event's ID.
func (fd socket) takePlain(seq byte, space []byte) (id string, ok bool) {
	answer := space[:longestPlain+1] // one more, to see that nothing follows
	size, ok := fd.peek(answer)
	if !ok || size > longestPlain {
		return "", false
	}
	if id, ok = readPlain(answer[:size], seq); !ok {
		return "", false
	}
	// A connection that is closed with an answer unread is reset, and agents
	// report that.
	return id, fd.read(answer[:size])
}
