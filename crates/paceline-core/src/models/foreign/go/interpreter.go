// Interprets paceline's jobs on goroutines, as docs/protocol.md describes. It uses only the standard library.
//
// Each job is a function on its own goroutine; a batch waits for all of them with a WaitGroup.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The most sleeps of a batch whose lateness is kept.
const room = 4_000_000

// ---- Receipts ----

// One step of SplitMix64.
func mix(value uint64) uint64 {
	value += 0x9E3779B97F4A7C15
	value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9
	value = (value ^ (value >> 27)) * 0x94D049BB133111EB
	return value ^ (value >> 31)
}

func compute(value, rounds uint64) uint64 {
	for ; rounds > 0; rounds-- {
		value = mix(value)
	}
	return value
}

// The result of a job so far.
type receipt struct {
	units, checksum uint64
}

// Returns the initial receipt of a child; for a job, of the child with the job's index of the zero receipt.
func (parent receipt) child(index int) receipt {
	return receipt{0, mix(parent.checksum + uint64(index))}
}

func (parent *receipt) join(child receipt) {
	parent.units += child.units
	parent.checksum = mix(parent.checksum ^ child.checksum)
}

// ---- Jobs ----

type act int

const (
	sleeps act = iota
	blocks
	computes
	offloads
	connects
	exchanges
	hops
	yields
	gathers
	groups
	says
	hears
	fails
)

// Maps the names in a job's definition to acts.
var acts = map[string]act{
	"sleep_ns": sleeps, "block_ns": blocks, "compute": computes, "offload": offloads, "connect": connects,
	"exchange": exchanges, "hop": hops, "yield": yields, "gather": gathers, "group": groups, "say": says,
	"hear": hears, "fail": fails,
}

type step struct {
	act     act
	count   uint64
	bytes   int
	of      []step
	each    [][]step
	nth     int
	other   []step
	cancels bool
	to      server
}

// How the suite's server treats a connection.
type server int

const (
	echo server = iota
	slow
	rooms
)

// The server's addresses, and the number of members of a room.
var (
	servers [3][]string
	members uint64
)

// The error of a fail step: expected, unlike every other error.
var errMeant = errors.New("it was told to fail")

// Runs the steps of a job or child, starting from its initial receipt. In a group that cancels, ctx signals the
// cancellation; elsewhere it is nil.
func perform(ctx context.Context, steps []step, done receipt) (receipt, error) {
	var connection net.Conn
	defer func() {
		if connection != nil {
			connection.Close()
		}
	}()
	for at := range steps {
		step := &steps[at]
		switch step.act {
		case sleeps:
			if ctx == nil && noting == nil {
				time.Sleep(time.Duration(step.count))
			} else if err := sleep(ctx, time.Duration(step.count)); err != nil {
				return done, err
			}
			done.units++
		case blocks:
			if err := block(step.count); err != nil {
				return done, err
			}
			done.units++
		case computes:
			done.checksum = compute(done.checksum, step.count)
			done.units++
		case yields:
			for time := uint64(0); time < step.count; time++ {
				runtime.Gosched()
				if ctx != nil && ctx.Err() != nil {
					return done, ctx.Err()
				}
			}
			done.units += step.count
		case connects:
			if connection != nil {
				connection.Close()
			}
			var err error
			if connection, err = connect(ctx, step, done.checksum); err != nil {
				return done, err
			}
			done.units++
		case says, hears:
			if err := talk(connection, step, &done); err != nil {
				return done, err
			}
		case exchanges:
			if connection == nil {
				return done, errors.New("there is no connection to exchange on")
			}
			if err := exchange(connection, step.bytes, step.count, &done); err != nil {
				return done, err
			}
		case hops:
			done.checksum = hop(step.count, done.checksum)
			done.units += step.count
		case offloads:
			// Inline: the scheduler moves other goroutines off a blocked thread, and preempts long computations.
			var err error
			if done, err = perform(nil, step.of, done); err != nil {
				return done, err
			}
		case gathers:
			children, err := gather(step, done)
			if err != nil {
				return done, err
			}
			for _, child := range children {
				done.join(child)
			}
		case groups:
			if err := group(step, &done); err != nil {
				return done, err
			}
		case fails:
			return done, errMeant
		}
	}
	return done, nil
}

func sleep(ctx context.Context, duration time.Duration) error {
	tape := noting
	if tape == nil {
		return sleepUnless(ctx, duration)
	}
	begin := time.Now()
	err := sleepUnless(ctx, duration)
	if err == nil {
		tape.late(time.Since(begin) - duration)
	}
	return err
}

func sleepUnless(ctx context.Context, duration time.Duration) error {
	if ctx == nil {
		time.Sleep(duration)
		return nil
	}
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func connect(ctx context.Context, step *step, checksum uint64) (net.Conn, error) {
	addresses := servers[step.to]
	address := addresses[checksum%uint64(len(addresses))]
	var connection net.Conn
	var err error
	// TCP_NODELAY is set by default.
	if ctx == nil {
		connection, err = net.Dial("tcp", address)
	} else if connection, err = new(net.Dialer).DialContext(ctx, "tcp", address); err == nil {
		connection = endsWith(ctx, connection)
	}
	if err != nil || step.to == echo {
		return connection, err
	}
	word := binary.LittleEndian.AppendUint64(nil, step.count)
	if step.to == rooms {
		binary.LittleEndian.PutUint64(word, members)
	}
	if _, err = connection.Write(word); err == nil && step.to == rooms {
		// Arrives once all members are there.
		_, err = io.ReadFull(connection, word)
	}
	if err != nil {
		connection.Close()
		return nil, err
	}
	return connection, nil
}

// A connection whose operations fail once its group is cancelled.
type guarded struct {
	net.Conn
	closed chan struct{}
}

func endsWith(ctx context.Context, connection net.Conn) guarded {
	of := guarded{connection, make(chan struct{})}
	go func() {
		select {
		case <-ctx.Done():
			connection.SetDeadline(time.Unix(1, 0))
		case <-of.closed:
		}
	}()
	return of
}

func (of guarded) Close() error {
	close(of.closed)
	return of.Conn.Close()
}

// Sends messages to a room, each after the previous one was heard, or receives them.
func talk(connection net.Conn, step *step, done *receipt) error {
	wanted, heard := bytes.Repeat([]byte{0xA5}, step.bytes), make([]byte, step.bytes)
	message := uint64(0)
	for time := uint64(0); time < step.count; time++ {
		message = mix(message)
		binary.LittleEndian.PutUint64(wanted, message)
		if step.act == says {
			if _, err := connection.Write(wanted); err != nil {
				return err
			}
		}
		if _, err := io.ReadFull(connection, heard); err != nil {
			return err
		}
		if !bytes.Equal(heard, wanted) {
			return errors.New("another message was heard in the room than was said")
		}
		done.join(receipt{1, message})
	}
	return nil
}

// Blocks the thread. time.Sleep would let another goroutine use it.
func block(ns uint64) error {
	left := syscall.NsecToTimespec(int64(ns))
	for {
		// Signals of the scheduler interrupt it.
		err := syscall.Nanosleep(&left, &left)
		if err != syscall.EINTR {
			return err
		}
	}
}

func exchange(connection net.Conn, size int, times uint64, done *receipt) error {
	message, reply := bytes.Repeat([]byte{0xA5}, size), make([]byte, size)
	for time := uint64(0); time < times; time++ {
		binary.LittleEndian.PutUint64(message, done.checksum)
		if _, err := connection.Write(message); err != nil {
			return err
		}
		if _, err := io.ReadFull(connection, reply); err != nil {
			return err
		}
		if !bytes.Equal(reply, message) {
			return errors.New("the echo server returned other bytes than it was sent")
		}
		done.checksum = mix(binary.LittleEndian.Uint64(reply))
	}
	done.units += times
	return nil
}

func hop(times, message uint64) uint64 {
	to, back, over := make(chan uint64, 1), make(chan uint64, 1), make(chan struct{})
	go func() {
		for message := range to {
			back <- mix(message)
		}
		close(over)
	}()
	for ; times > 0; times-- {
		to <- message
		message = <-back
	}
	close(to)
	<-over
	return message
}

// Returns the steps of child index of a gather.
func (gather *step) child(index int) []step {
	if gather.each != nil {
		return gather.each[index]
	}
	return gather.of
}

func gather(step *step, parent receipt) ([]receipt, error) {
	width := int(step.count)
	children, failures := make([]receipt, width), make([]error, width)
	var all sync.WaitGroup
	all.Add(width)
	for index := 0; index < width; index++ {
		go func(index int) {
			children[index], failures[index] = perform(nil, step.child(index), parent.child(index))
			all.Done()
		}(index)
	}
	all.Wait()
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	return children, nil
}

// Runs the children of a group and adds their receipts, or their failure, to the parent's. Children of a group that
// cancels have no children of their own, which the definition ensures.
func group(step *step, done *receipt) error {
	var ctx context.Context
	end := func() {}
	if step.cancels {
		ctx, end = context.WithCancel(context.Background())
	}
	defer end()
	width, parent := int(step.count), *done
	children, failures := make([]receipt, width), make([]error, width)
	var watched *childrenSeen
	if watching != nil {
		watched = &childrenSeen{}
	}
	var first error
	var once sync.Once
	var all sync.WaitGroup
	all.Add(width)
	for index := 0; index < width; index++ {
		go func(index int) {
			defer all.Done()
			watched.begin()
			defer watched.end()
			steps := step.of
			if step.nth > 0 && isChosen(index, step.nth) {
				steps = step.other
			}
			var err error
			if children[index], err = perform(ctx, steps, parent.child(index)); err == nil {
				return
			}
			failures[index] = err
			once.Do(func() {
				first = err
				watched.fail()
				end()
			})
		}(index)
	}
	all.Wait()
	watched.over()
	if step.cancels && first != nil && !errors.Is(first, errMeant) {
		return first
	}
	for _, err := range failures {
		if !step.cancels && err != nil && !errors.Is(err, errMeant) {
			return err
		}
	}
	if first != nil {
		done.join(receipt{1, uint64(width)})
		return nil
	}
	for _, child := range children {
		done.join(child)
	}
	return nil
}

// ---- Definitions ----

func readSteps(list []map[string]json.RawMessage) ([]step, error) {
	steps := make([]step, 0, len(list))
	for _, one := range list {
		for name, of := range one {
			step, err := readStep(name, of)
			if err != nil {
				return nil, err
			}
			steps = append(steps, step)
		}
	}
	return steps, nil
}

func readStep(name string, of json.RawMessage) (step, error) {
	act, known := acts[name]
	if !known {
		return step{}, fmt.Errorf("this interpreter knows no step `%s`", name)
	}
	read := step{act: act}
	var err error
	switch act {
	case connects:
		var told string
		if json.Unmarshal(of, &told) == nil {
			switch told {
			case "echo":
				read.to = echo
			case "room":
				read.to = rooms
			default:
				err = fmt.Errorf("this interpreter knows no server `%s`", told)
			}
			break
		}
		var later struct {
			Slow uint64 `json:"slow_ns"`
		}
		err = strictly(name, of, &later)
		read.to, read.count = slow, later.Slow
	case fails:
	case exchanges, says, hears:
		var told struct {
			Bytes int    `json:"bytes"`
			Times uint64 `json:"times"`
		}
		err = strictly(name, of, &told)
		read.bytes, read.count = told.Bytes, told.Times
	case offloads:
		var told []map[string]json.RawMessage
		if err = strictly(name, of, &told); err == nil {
			read.of, err = readSteps(told)
		}
	case gathers:
		var each [][]map[string]json.RawMessage
		if bytes.HasPrefix(bytes.TrimSpace(of), []byte("[")) {
			if err = strictly(name, of, &each); err != nil {
				break
			}
			read.count, read.each = uint64(len(each)), make([][]step, len(each))
			for index := range each {
				if read.each[index], err = readSteps(each[index]); err != nil {
					break
				}
			}
			break
		}
		var told struct {
			Width uint64                       `json:"width"`
			Of    []map[string]json.RawMessage `json:"of"`
		}
		if err = strictly(name, of, &told); err == nil {
			read.count = told.Width
			read.of, err = readSteps(told.Of)
		}
	case groups:
		var told struct {
			Width   uint64                       `json:"width"`
			Of      []map[string]json.RawMessage `json:"of"`
			Every   *every                       `json:"every"`
			Cancels bool                         `json:"cancels"`
		}
		if err = strictly(name, of, &told); err != nil {
			break
		}
		read.count, read.cancels = told.Width, told.Cancels
		if read.of, err = readSteps(told.Of); err == nil && told.Every != nil {
			read.nth = told.Every.Nth
			read.other, err = readSteps(told.Every.Job)
		}
	default:
		err = strictly(name, of, &read.count)
	}
	return read, err
}

// Decodes JSON and rejects unknown keys: ignoring one would change the job.
func strictly(name string, text json.RawMessage, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("this interpreter cannot read `%s`: %w", name, err)
	}
	return nil
}

// The other steps, which one job or child in each nth runs.
type every struct {
	Nth int                          `json:"nth"`
	Job []map[string]json.RawMessage `json:"job"`
}

// Returns whether this index is the one in its block of nth that runs the other steps: see docs/protocol.md.
func isChosen(index, nth int) bool {
	return uint64(index%nth) == uint64(fmix32(uint32(index/nth)))%uint64(nth)
}

func fmix32(value uint32) uint32 {
	value = (value ^ (value >> 16)) * 0x85ebca6b
	value = (value ^ (value >> 13)) * 0xc2b2ae35
	return value ^ (value >> 16)
}

// The part of a request that describes jobs. Unknown fields are ignored.
type told struct {
	Jobs struct {
		Usual []map[string]json.RawMessage `json:"usual"`
		Every *every                       `json:"every"`
	} `json:"jobs"`
	Scale   int      `json:"scale"`
	Workers int      `json:"workers"`
	Servers []string `json:"servers"`
	Slow    []string `json:"slow"`
	Rooms   []string `json:"rooms"`
	Listen  listen   `json:"listen"`
}

// Where a server listens if not on loopback, and what each connection must begin with.
type listen struct {
	Address string `json:"address"`
	Token   string `json:"token"`
}

// The prepared cell.
type cell struct {
	scale, nth   int
	usual, other []step
	sleeps       int
}

func (cell *cell) steps(index int) []step {
	if cell.nth > 0 && isChosen(index, cell.nth) {
		return cell.other
	}
	return cell.usual
}

// Runs job index.
func (cell *cell) job(index int) (receipt, error) {
	return perform(nil, cell.steps(index), receipt{}.child(index))
}

func readCell(told told) (*cell, error) {
	if told.Workers > 0 {
		runtime.GOMAXPROCS(told.Workers)
	}
	servers = [3][]string{told.Servers, told.Slow, told.Rooms}
	members = uint64(told.Scale)
	read := cell{scale: told.Scale}
	var err error
	if read.usual, err = readSteps(told.Jobs.Usual); err != nil {
		return nil, err
	}
	if every := told.Jobs.Every; every != nil {
		read.nth = every.Nth
		if read.other, err = readSteps(every.Job); err != nil {
			return nil, err
		}
	}
	each := math.Max(countSleeps(read.usual), countSleeps(read.other))
	read.sleeps = int(math.Min(room, each*float64(read.scale)))
	return &read, nil
}

func countSleeps(steps []step) float64 {
	count := 0.0
	for _, step := range steps {
		switch step.act {
		case sleeps:
			count++
		case gathers:
			for _, each := range step.each {
				count += countSleeps(each)
			}
			if step.each == nil {
				count += float64(step.count) * countSleeps(step.of)
			}
		case groups:
			count += float64(step.count) * math.Max(countSleeps(step.of), countSleeps(step.other))
		}
	}
	return count
}

// ---- Batches ----

// The counters and the recorder of the current batch; nil in timed batches.
var (
	watching *watch
	noting   *tape
)

type watch struct {
	inFlight, peak atomic.Int64
	threads        sync.Map
	mutex          sync.Mutex
	// For groups in which a child failed: the time from the first failure until the group ended, and the number of
	// children still running then.
	over []time.Duration
	left int64
}

// Counts the children of a group, if the batch is counted; otherwise nil.
type childrenSeen struct {
	begun, gone atomic.Int64
	failed      time.Time
}

func (seen *childrenSeen) begin() {
	if seen != nil {
		seen.begun.Add(1)
	}
}

func (seen *childrenSeen) end() {
	if seen != nil {
		seen.gone.Add(1)
	}
}

func (seen *childrenSeen) fail() {
	if seen != nil {
		seen.failed = time.Now()
	}
}

func (seen *childrenSeen) over() {
	if seen == nil || seen.failed.IsZero() {
		return
	}
	took := time.Since(seen.failed)
	watching.mutex.Lock()
	defer watching.mutex.Unlock()
	watching.over = append(watching.over, took)
	watching.left += seen.begun.Load() - seen.gone.Load()
}

func (watch *watch) begun() {
	now := watch.inFlight.Add(1)
	for {
		peak := watch.peak.Load()
		if now <= peak || watch.peak.CompareAndSwap(peak, now) {
			break
		}
	}
	watch.threads.Store(syscall.Gettid(), nil)
}

func (watch *watch) ended() {
	watch.inFlight.Add(-1)
	watch.threads.Store(syscall.Gettid(), nil)
}

// Times of single jobs, in nanoseconds. All memory is allocated beforehand.
type tape struct {
	begin                      time.Time
	latency, service, lateness []int64
	woken                      atomic.Int64
}

func (tape *tape) late(by time.Duration) {
	if at := tape.woken.Add(1) - 1; at < int64(len(tape.lateness)) {
		tape.lateness[at] = by.Nanoseconds()
	}
}

// A batch, as reported.
type batch struct {
	Ns       int64   `json:"ns"`
	Jobs     int     `json:"jobs"`
	Units    uint64  `json:"units"`
	Digest   string  `json:"digest"`
	Latency  []int64 `json:"latency_ns,omitempty"`
	Service  []int64 `json:"service_ns,omitempty"`
	Lateness []int64 `json:"lateness_ns,omitempty"`
	Lost     int64   `json:"sleeps_lost,omitempty"`
	Peak     int64   `json:"peak_in_flight,omitempty"`
	Threads  int     `json:"job_threads,omitempty"`
	Ended    *int64  `json:"group_ended_ns_max,omitempty"`
	Left     *int64  `json:"children_left,omitempty"`
}

// A job that failed.
type failure struct {
	job int
	error
}

// Runs all jobs concurrently, each with one.
func run(cell *cell, one func(int) (receipt, error)) (batch, error) {
	receipts, failures := make([]receipt, cell.scale), make([]error, cell.scale)
	var all sync.WaitGroup
	begin := time.Now()
	if noting != nil {
		noting.begin = begin
	}
	all.Add(cell.scale)
	for index := 0; index < cell.scale; index++ {
		go func(index int) {
			receipts[index], failures[index] = one(index)
			all.Done()
		}(index)
	}
	all.Wait()
	elapsed := time.Since(begin)
	for job, err := range failures {
		if err != nil {
			return batch{}, failure{job, err}
		}
	}
	var sum receipt
	for _, one := range receipts {
		sum.join(one)
	}
	digest := fmt.Sprintf("%016x", sum.checksum)
	return batch{Ns: elapsed.Nanoseconds(), Jobs: len(receipts), Units: sum.units, Digest: digest}, nil
}

func runWatched(cell *cell) (batch, error) {
	watching = &watch{}
	defer func() { watching = nil }()
	done, err := run(cell, func(index int) (receipt, error) {
		watching.begun()
		defer watching.ended()
		return cell.job(index)
	})
	done.Peak = watching.peak.Load()
	watching.threads.Range(func(any, any) bool {
		done.Threads++
		return true
	})
	for _, took := range watching.over {
		if ns := took.Nanoseconds(); done.Ended == nil || ns > *done.Ended {
			done.Ended, done.Left = &ns, &watching.left
		}
	}
	return done, err
}

func runNoted(cell *cell) (batch, error) {
	tape := &tape{
		latency: make([]int64, cell.scale), service: make([]int64, cell.scale), lateness: make([]int64, cell.sleeps),
	}
	noting = tape
	defer func() { noting = nil }()
	done, err := run(cell, func(index int) (receipt, error) {
		began := time.Now()
		receipt, err := cell.job(index)
		ended := time.Now()
		tape.latency[index] = ended.Sub(tape.begin).Nanoseconds()
		tape.service[index] = ended.Sub(began).Nanoseconds()
		return receipt, err
	})
	done.Latency, done.Service = tape.latency, tape.service
	woken, kept := tape.woken.Load(), int64(len(tape.lateness))
	if woken < kept {
		kept = woken
	}
	done.Lateness, done.Lost = tape.lateness[:kept], woken-kept
	return done, err
}

// ---- A server ----

// Accepts connections. Ends the process where net/http would retry, for example without descriptors.
type listener struct {
	net.Listener
	token string
}

// A connection that has yet to say the rest of the token. Without it, nothing is answered.
type stranger struct {
	net.Conn
	left string
}

func (stranger *stranger) Read(into []byte) (int, error) {
	for stranger.left != "" {
		said := make([]byte, len(stranger.left))
		count, err := stranger.Conn.Read(said)
		if !strings.HasPrefix(stranger.left, string(said[:count])) {
			return 0, io.EOF
		}
		stranger.left = stranger.left[count:]
		if err != nil {
			return 0, err
		}
	}
	return stranger.Conn.Read(into)
}

func (listener listener) Accept() (net.Conn, error) {
	for {
		connection, err := listener.Listener.Accept()
		if err == nil && listener.token != "" {
			return &stranger{connection, listener.token}, nil
		}
		// A client that has already left is not an error of the server.
		if err == nil || !errors.Is(err, syscall.ECONNABORTED) {
			if err != nil {
				end(err)
			}
			return connection, err
		}
	}
}

func end(err error) {
	fmt.Fprintf(os.Stderr, "the server ended: %v\n", err)
	os.Exit(1)
}

func serve(cell *cell, listen listen) (net.Addr, error) {
	address := "127.0.0.1"
	if listen.Address != "" {
		address = listen.Address
	}
	bound, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return nil, err
	}
	server := http.Server{
		Handler: http.HandlerFunc(cell.handle),
		// net/http adds 4 KiB to this.
		MaxHeaderBytes: 12 << 10,
		ErrorLog:       log.New(io.Discard, "", 0),
	}
	go func() { end(server.Serve(listener{bound, listen.Token})) }()
	return bound.Addr(), nil
}

func (cell *cell) handle(response http.ResponseWriter, request *http.Request) {
	respond := func(status int, body string) {
		text := body + "\n"
		response.Header().Set("Content-Type", "text/plain")
		response.Header().Set("Content-Length", strconv.Itoa(len(text)))
		response.WriteHeader(status)
		io.WriteString(response, text)
	}
	if len(request.TransferEncoding) > 0 {
		response.Header().Set("Connection", "close")
		respond(http.StatusNotImplemented, "bodies are read by their content-length only, not in chunks")
		return
	}
	if request.ContentLength > 0 {
		io.Copy(io.Discard, request.Body)
	}
	switch request.Method {
	case "GET", "HEAD", "POST", "PUT":
	default:
		response.Header().Set("Allow", "GET, HEAD, POST, PUT")
		respond(http.StatusMethodNotAllowed, "the methods are GET, HEAD, POST and PUT")
		return
	}
	index := uint64(0)
	if path := request.URL.Path; path != "/" && path != "" {
		var err error
		if index, err = strconv.ParseUint(strings.TrimPrefix(path, "/"), 10, 32); err != nil {
			respond(http.StatusNotFound, "a path is / or the index of a job, such as /7")
			return
		}
	}
	done, err := cell.job(int(index))
	if err != nil {
		respond(http.StatusInternalServerError, err.Error())
		return
	}
	respond(http.StatusOK, fmt.Sprintf("%d %016x", done.units, done.checksum))
}

// ---- The protocol ----

var output = bufio.NewWriterSize(os.Stdout, 1<<16)

// Sends messages with one key each.
func say[T any](name string, messages ...T) {
	for _, of := range messages {
		encoded, err := json.Marshal(map[string]any{name: of})
		if err != nil {
			panic(err)
		}
		output.Write(append(encoded, '\n'))
	}
	if output.Flush() != nil {
		os.Exit(1)
	}
}

func hello() {
	best, rounds, sum := math.Inf(1), 100_000, uint64(0)
	for try := 0; try < 5; try++ {
		begin := time.Now()
		sum = compute(sum, uint64(rounds))
		each := float64(time.Since(begin).Nanoseconds()) / float64(rounds)
		best = math.Min(best, each)
		rounds = int(math.Max(1e5, 1e6/best))
	}
	// Uses the result, so that the compiler keeps the timed work.
	if sum == 0 {
		best += 1e-9
	}
	say("hello", map[string]any{
		"protocol": 3,
		"model":    os.Args[len(os.Args)-1],
		"language": "Go",
		"version":  strings.TrimPrefix(runtime.Version(), "go"),
		"steps": []string{
			"sleep", "block", "compute", "offload", "connect", "connect.slow", "connect.room", "exchange", "say", "hear",
			"hop", "yield", "gather", "gather.each", "group", "group.cancel", "fail",
		},
		"compute_ns": best,
		"parallel":   true,
		"probes":     []string{"inert", "created"},
	})
}

// How long a probe waits for something to happen.
const pause = 20 * time.Millisecond

// Probes a property of goroutines that no job can show.
func probe(what string) (map[string]any, error) {
	var begun atomic.Bool
	switch what {
	case "inert":
		// The call is the work: nothing is left to drive after it returns.
		begun.Store(true)
		time.Sleep(pause)
		time.Sleep(pause)
		seen, start := begun.Load(), time.Now()
		return map[string]any{"begun": seen, "slept_ns": time.Since(start).Nanoseconds()}, nil
	case "created":
		done := make(chan struct{})
		go func() {
			begun.Store(true)
			close(done)
		}()
		if err := block(uint64(pause.Nanoseconds())); err != nil {
			return nil, err
		}
		atOnce := begun.Load()
		time.Sleep(pause)
		beforeAwaited := begun.Load()
		<-done
		return map[string]any{"at_once": atOnce, "before_awaited": beforeAwaited}, nil
	}
	return nil, fmt.Errorf("no probe is called %s", what)
}

// The state of the process.
type state struct {
	cell    *cell
	serving bool
}

func (state *state) answer(name string, of json.RawMessage) error {
	if state.serving {
		return errors.New("this process is a server")
	}
	if (name == "batches" || name == "watch") && state.cell == nil {
		return errors.New("no cell is prepared")
	}
	switch name {
	case "prepare", "serve":
		var told told
		if err := json.Unmarshal(of, &told); err != nil {
			return err
		}
		cell, err := readCell(told)
		if err != nil {
			return err
		}
		state.cell = cell
		if name == "prepare" {
			say("prepared", struct{}{})
			return nil
		}
		address, err := serve(cell, told.Listen)
		if err != nil {
			return err
		}
		state.serving = true
		say("serving", map[string]string{"address": address.String()})
	case "batches":
		var told struct {
			Count uint64 `json:"count"`
			Times bool   `json:"times"`
		}
		if err := json.Unmarshal(of, &told); err != nil {
			return err
		}
		var batches []batch
		for ; told.Count > 0; told.Count-- {
			if told.Times {
				done, err := runNoted(state.cell)
				if err != nil {
					return err
				}
				say("batch", done)
				continue
			}
			done, err := run(state.cell, state.cell.job)
			if err != nil {
				return err
			}
			batches = append(batches, done)
		}
		// Sent together: a parent reading them one by one would run during the next batch.
		say("batch", batches...)
	case "watch":
		done, err := runWatched(state.cell)
		if err != nil {
			return err
		}
		say("watched", done)
	case "probe":
		var told struct {
			What string `json:"what"`
		}
		if err := json.Unmarshal(of, &told); err != nil {
			return err
		}
		seen, err := probe(told.What)
		if err != nil {
			return err
		}
		say("probed", map[string]any{told.What: seen})
	case "stop":
		say("stopped", struct{}{})
		os.Exit(0)
	default:
		return fmt.Errorf("no request is called %s", name)
	}
	return nil
}

func main() {
	hello()
	// A separate goroutine, so that the process ends with its input even in the middle of a batch.
	requests := make(chan []byte)
	go func() {
		input := bufio.NewReaderSize(os.Stdin, 1<<16)
		for {
			line, err := input.ReadBytes('\n')
			if err != nil {
				os.Exit(0)
			}
			requests <- line
		}
	}()
	var state state
	for line := range requests {
		var request map[string]json.RawMessage
		err := json.Unmarshal(line, &request)
		for name, of := range request {
			err = state.answer(name, of)
		}
		if err != nil {
			failed := map[string]any{"job": nil, "error": err.Error()}
			var of failure
			if errors.As(err, &of) {
				failed["job"] = of.job
			}
			say("failed", failed)
		}
	}
}
