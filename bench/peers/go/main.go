// The Go package (pkg/event of github.com/optimizely/go-sdk at v1.0.0-beta7) as a peer of bench/run: the same arguments,
// the same line of JSON.
//
// Not compiled against the package and not run: where this was written, no checkout of it could be had. It follows the
// package's public API as docs/PROTOCOL.md, docs/PARITY.md and their references describe it; what the compiler says
// against a real checkout is to be believed over it. bench/run builds it where POSTHASTE_BENCH_GO_SDK names a checkout.
//
// Events are made by CreateImpressionUserEvent and handed to a BatchEventProcessor. Its dispatcher sets the address of
// the server, and sends with the package's HTTPEventDispatcher: one request at a time, since the processor flushes so.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/optimizely/go-sdk/pkg"
	"github.com/optimizely/go-sdk/pkg/config"
	"github.com/optimizely/go-sdk/pkg/entities"
	"github.com/optimizely/go-sdk/pkg/event"
	"github.com/optimizely/go-sdk/pkg/utils"
)

// rounds is how often memory that the process already has is filled again, each time with a part of the events.
const (
	rounds = 10
	part   = 20
)

type arguments struct {
	datafile, events, url           string
	count, threads, batch, inFlight int
	seconds                         float64
}

type line struct {
	UserID     string                 `json:"user_id"`
	Experiment string                 `json:"experiment"`
	Variation  string                 `json:"variation"`
	Attributes map[string]interface{} `json:"attributes"`
}

// maker makes the file's events, over and over.
type maker struct {
	config pkg.ProjectConfig
	lines  []line
}

func newMaker(asked arguments) (*maker, error) {
	datafile, err := os.ReadFile(asked.datafile)
	if err != nil {
		return nil, err
	}
	manager, err := config.NewStaticProjectConfigManagerFromPayload(datafile)
	if err != nil {
		return nil, err
	}
	project, err := manager.GetConfig()
	if err != nil {
		return nil, err
	}
	file, err := os.Open(asked.events)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	made := &maker{config: project}
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		var read line
		if err := json.Unmarshal(scanner.Bytes(), &read); err != nil {
			return nil, err
		}
		made.lines = append(made.lines, read)
	}
	if len(made.lines) == 0 {
		return nil, fmt.Errorf("%s: there are no events", asked.events)
	}
	return made, nil
}

func (m *maker) make(n int) (event.UserEvent, error) {
	read := &m.lines[n%len(m.lines)]
	experiment, err := m.config.GetExperimentByKey(read.Experiment)
	if err != nil {
		return event.UserEvent{}, err
	}
	user := entities.UserContext{ID: read.UserID, Attributes: read.Attributes}
	for _, variation := range experiment.Variations {
		if variation.Key == read.Variation {
			return event.CreateImpressionUserEvent(m.config, experiment, variation, user), nil
		}
	}
	return event.UserEvent{}, fmt.Errorf("no variation %s", read.Variation)
}

// never answers no request, so that what is queued stays.
type never struct{}

func (never) DispatchEvent(event.LogEvent) (bool, error) {
	select {}
}

// fill takes nanoseconds for each event of a thread: wall-clock, and processor time of the process.
func fill(processor *event.BatchEventProcessor, made *maker, count, threads int) (wall, cpu float64, err error) {
	var group sync.WaitGroup
	failures := make(chan error, threads)
	cpuBefore, started := processorTime(), time.Now()
	for thread := 0; thread < threads; thread++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := 0; n < count/threads; n++ {
				made, err := made.make(n)
				if err != nil {
					failures <- err
					return
				}
				processor.ProcessEvent(made)
			}
		}()
	}
	group.Wait()
	passed, used := time.Since(started), processorTime()-cpuBefore
	select {
	case err = <-failures:
	default:
	}
	each := float64(count / threads)
	return float64(passed.Nanoseconds()) / each, float64(used.Nanoseconds()) / each / float64(threads), err
}

func enqueue(asked arguments) (map[string]interface{}, error) {
	made, err := newMaker(asked)
	if err != nil {
		return nil, err
	}
	// Not started, so that nothing is flushed: ProcessEvent asks for a flush only where a batch is full.
	processor := event.NewBatchEventProcessor(
		event.WithBatchSize(asked.count+1),
		event.WithQueueSize(asked.count+1),
		event.WithFlushInterval(time.Hour),
		event.WithQueue(event.NewInMemoryQueue(asked.count+1)),
		event.WithEventDispatcher(never{}),
	)
	before := statusKiB("VmRSS:")
	wallNew, _, err := fill(processor, made, asked.count, asked.threads)
	if err != nil {
		return nil, err
	}
	if taken := processor.EventsCount(); taken != asked.count/asked.threads*asked.threads {
		return nil, fmt.Errorf("the queue took %d of %d events", taken, asked.count)
	}
	mib := float64(statusKiB("VmRSS:")-before) / 1024 / float64(asked.count) * 1e6
	processor.Remove(processor.EventsCount())
	var wall, cpu float64
	for round := 0; round < rounds; round++ {
		w, c, err := fill(processor, made, asked.count/part, asked.threads)
		if err != nil {
			return nil, err
		}
		wall, cpu = wall+w, cpu+c
		processor.Remove(processor.EventsCount())
	}
	return map[string]interface{}{
		"ns": wall / rounds, "ns_new_memory": wallNew, "cpu_ns": cpu / rounds, "mib_per_million": mib,
	}, nil
}

// toServer sends to the server, with the package's own dispatcher, and counts what arrived.
type toServer struct {
	url       string
	next      event.Dispatcher
	delivered *int64
}

func (s toServer) DispatchEvent(request event.LogEvent) (bool, error) {
	request.EndPoint = s.url
	sent, err := s.next.DispatchEvent(request)
	if sent && err == nil {
		atomic.AddInt64(s.delivered, int64(len(request.Event.Visitors)))
	}
	return sent, err
}

func deliverFor(asked arguments, made *maker, seconds float64) (int, error) {
	var delivered int64
	// Room for four requests; where there is none, the package would drop the event.
	size := 4 * asked.batch
	processor := event.NewBatchEventProcessor(
		event.WithBatchSize(asked.batch),
		event.WithQueueSize(size),
		event.WithQueue(event.NewInMemoryQueue(size)),
		event.WithEventDispatcher(toServer{asked.url, &event.HTTPEventDispatcher{}, &delivered}),
	)
	execution := utils.NewCancelableExecutionCtx()
	processor.Start(execution)
	count := 0
	for ends := time.Now().Add(time.Duration(seconds * float64(time.Second))); time.Now().Before(ends); count++ {
		for processor.EventsCount() >= size {
			time.Sleep(50 * time.Microsecond)
		}
		next, err := made.make(count)
		if err != nil {
			return 0, err
		}
		processor.ProcessEvent(next)
	}
	execution.TerminateAndWait()
	if got := int(atomic.LoadInt64(&delivered)); got != count {
		return 0, fmt.Errorf("%d of %d events were delivered", got, count)
	}
	return count, nil
}

func deliver(asked arguments) (map[string]interface{}, error) {
	if asked.inFlight > 64 {
		return map[string]interface{}{
			"without": "sends one request at a time, however many others have in flight",
		}, nil
	}
	made, err := newMaker(asked)
	if err != nil {
		return nil, err
	}
	if _, err := deliverFor(asked, made, asked.seconds/10); err != nil {
		return nil, err
	}
	cpuBefore, started := processorTime(), time.Now()
	count, err := deliverFor(asked, made, asked.seconds)
	if err != nil {
		return nil, err
	}
	wall, cpu := time.Since(started).Seconds(), (processorTime() - cpuBefore).Seconds()
	return map[string]interface{}{
		"per_second":        float64(count) / wall,
		"cpu_s_per_million": cpu / float64(count) * 1e6,
		"peak_mib":          float64(statusKiB("VmHWM:")) / 1024,
	}, nil
}

// processorTime is user and system time of the process.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func statusKiB(name string) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for _, text := range strings.Split(string(status), "\n") {
		if rest, found := strings.CutPrefix(text, name); found {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib
		}
	}
	return 0
}

func run(what string, asked arguments) (map[string]interface{}, error) {
	switch what {
	case "enqueue":
		return enqueue(asked)
	case "deliver":
		return deliver(asked)
	}
	return nil, fmt.Errorf("%q is nothing to measure", what)
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "give version, enqueue or deliver")
		os.Exit(2)
	}
	if os.Args[1] == "version" {
		fmt.Printf("%s (%s)\n", event.Version, runtime.Version())
		return
	}
	var asked arguments
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&asked.datafile, "datafile", "", "the project's datafile")
	flags.StringVar(&asked.events, "events", "", "impressions, one a line")
	flags.StringVar(&asked.url, "url", "", "where to")
	flags.IntVar(&asked.count, "count", 0, "how many events")
	flags.IntVar(&asked.threads, "threads", 1, "how many threads make them")
	flags.IntVar(&asked.batch, "batch", 10, "events of a request")
	flags.IntVar(&asked.inFlight, "in-flight", 1, "requests under way at most")
	flags.Float64Var(&asked.seconds, "seconds", 1, "how long events are offered")
	_ = flags.Parse(os.Args[2:])
	measured, err := run(os.Args[1], asked)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(measured)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
