// Command adsload opens many ADS streams to one control plane, behaves on each as Envoy does, and measures how long the
// streams take to be configured and to be told of a change. It prints one line of JSON a phase and stops by itself.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

type load struct {
	address                string
	tls, delta, nodeAlways bool
	extra                  []reference
	probe                  atomic.Pointer[probe]

	bytes, responses, retries, last atomic.Int64 // last: when anything was received, Unix nanoseconds
	lastError                       atomic.Value

	started time.Time
	mu      sync.Mutex
	warm    map[int]time.Duration
	allWarm chan struct{}
	n       int // streams
	expect  int // streams that a change concerns
}

func (l *load) count(size int) {
	l.bytes.Add(int64(size))
	l.responses.Add(1)
	l.last.Store(time.Now().UnixNano())
}

func (l *load) isExtra(typeURL, name string) bool {
	return slices.Contains(l.extra, reference{typeURL, name})
}

func (l *load) configured(id int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.warm[id]; !known {
		l.warm[id] = time.Since(l.started)
		if len(l.warm) == l.n {
			close(l.allWarm)
		}
	}
}

// settle waits until nothing was received for a while.
func (l *load) settle(quiet, limit time.Duration) {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(quiet / 10) {
		if time.Since(time.Unix(0, l.last.Load())) > quiet {
			return
		}
	}
}

type spread struct {
	First float64 `json:"first_ms"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Last  float64 `json:"last_ms"`
	Count int     `json:"streams"`
}

func spreadOf(times []time.Duration) spread {
	if len(times) == 0 {
		return spread{}
	}
	slices.Sort(times)
	at := func(q float64) float64 {
		return float64(times[min(int(q*float64(len(times))), len(times)-1)].Microseconds()) / 1000
	}
	return spread{at(0), at(0.5), at(0.99), at(1), len(times)}
}

// usage is what a process has used so far.
type usage struct{ cpu, rssMB float64 }

func usageOf(pid int) (u usage) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if pid == 0 || err != nil {
		return u
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+2:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	pages, _ := strconv.ParseFloat(fields[21], 64)
	return usage{(user + system) / 100, pages * float64(os.Getpagesize()) / 1e6}
}

// busy is the CPU time that the whole machine has used so far, in seconds.
func busy() (total float64) {
	stat, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(stat), "\n")
	for i, field := range strings.Fields(line) {
		if ticks, err := strconv.ParseFloat(field, 64); err == nil && i != 4 && i != 5 && i < 9 { // not idle, not waiting
			total += ticks / 100
		}
	}
	return total
}

// phase is the warm-up or one change, as printed.
type phase struct {
	What    string  `json:"what"`
	Command float64 `json:"command_ms,omitempty"`
	spread
	Missing   int     `json:"streams_missing"`
	Bytes     int64   `json:"bytes"`
	PerStream float64 `json:"bytes_per_stream"`
	Responses int64   `json:"responses"`
	Retries   int64   `json:"reconnects"`
	ServerCPU float64 `json:"server_cpu_s"`
	ServerRSS float64 `json:"server_rss_mb"`
	ClientCPU float64 `json:"client_cpu_s"`
	OtherCPU  float64 `json:"other_cpu_s"` // what else ran on the machine
	Seconds   float64 `json:"seconds"`     // of the whole phase, silence at its end included
	Failure   string  `json:"failure,omitempty"`
}

// measure runs body and fills in what was received and used until the streams fell silent.
func (l *load) measure(what string, pid int, quiet time.Duration, body func(*phase)) phase {
	p, began, all := phase{What: what}, time.Now(), busy()
	size, responses, retries, server, client := l.bytes.Load(), l.responses.Load(), l.retries.Load(), usageOf(pid), usageOf(os.Getpid())
	body(&p)
	l.settle(quiet, 20*quiet)
	p.Bytes, p.Responses, p.Retries = l.bytes.Load()-size, l.responses.Load()-responses, l.retries.Load()-retries
	p.PerStream = float64(p.Bytes) / float64(l.n)
	p.ServerCPU, p.ServerRSS = usageOf(pid).cpu-server.cpu, usageOf(pid).rssMB
	p.ClientCPU = usageOf(os.Getpid()).cpu - client.cpu
	p.OtherCPU, p.Seconds = busy()-all-p.ServerCPU-p.ClientCPU, time.Since(began).Seconds()
	return p
}

func (l *load) change(command, marker string, appear bool, types []string, limit time.Duration, p *phase) {
	q := &probe{marker: []byte(marker), appear: appear, types: types, start: time.Now(), elapsed: make([]atomic.Int64, l.n), done: make(chan struct{})}
	q.left.Store(int64(l.expect))
	l.probe.Store(q)
	shell := exec.Command("sh", "-c", command)
	shell.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if output, err := shell.CombinedOutput(); err != nil {
		p.Failure = fmt.Sprintf("%v: %s", err, output)
		return
	}
	p.Command = float64(time.Since(q.start).Microseconds()) / 1000
	select {
	case <-q.done:
	case <-time.After(limit):
		p.Failure = "not every stream saw the change in time"
	}
	var times []time.Duration
	for i := range q.elapsed {
		if t := q.elapsed[i].Load(); t > 0 {
			times = append(times, time.Duration(t))
		}
	}
	p.spread, p.Missing = spreadOf(times), l.expect-len(times)
}

func filler(id, namespaces int) func(string) string {
	return strings.NewReplacer("{i}", strconv.Itoa(id), "{ns}", fmt.Sprintf("ns%d", id%namespaces),
		"{ip}", fmt.Sprintf("10.%d.%d.%d", 1+id>>16&255, id>>8&255, id&255)).Replace
}

func node(id int, idTemplate, metadataTemplate, cluster string, namespaces int) *core.Node {
	fill := filler(id, namespaces)
	n := &core.Node{Id: fill(idTemplate), Cluster: fill(cluster), Metadata: &structpb.Struct{}, UserAgentName: "envoy"}
	if err := protojson.Unmarshal([]byte(fill(metadataTemplate)), n.Metadata); err != nil {
		fmt.Fprintln(os.Stderr, "metadata template:", err)
		os.Exit(2)
	}
	return n
}

func main() {
	address := flag.String("address", "127.0.0.1:15010", "host:port, or unix:PATH")
	count := flag.Int("n", 1000, "streams, each on its own connection")
	sotw := flag.Bool("sotw", false, "state of the world instead of delta")
	secure := flag.Bool("tls", false, "TLS; the server's certificate is not verified")
	nodeAlways := flag.Bool("node-always", false, "send the node with every subscription, not only the first")
	idTemplate := flag.String("node-id-template", "sidecar~{ip}~app-{i}.{ns}~{ns}.svc.cluster.local", "placeholders {i} {ip} {ns}")
	metadata := flag.String("metadata-json-template", `{"NAMESPACE":"{ns}","CLUSTER_ID":"Kubernetes","ISTIO_VERSION":"1.31.0"}`, "same placeholders")
	token := flag.String("token-template", "", "sent as a bearer token; same placeholders")
	cluster := flag.String("node-cluster", "app.{ns}", "same placeholders")
	namespaces := flag.Int("namespaces", 1, "{ns} is ns(i mod this)")
	subscribe := flag.String("subscribe", "", "also subscribe: TYPE_URL=NAME, comma separated")
	expect := flag.Int("expect", 0, "streams that a change concerns; 0: all")
	marker := flag.String("marker", "", "text that the change brings into a resource's name or body; {i} is the number of the change")
	markerTypes := flag.String("marker-types", "", "of cds,lds,eds,rds,ecds: all that must hold the marker; empty: any type")
	change := flag.String("change", "", "shell command; {i} is the number of the change")
	undo := flag.String("undo", "", "shell command after which the marker vanishes again")
	rounds := flag.Int("r", 5, "changes")
	rate := flag.Float64("connect-rate", 0, "connections a second; 0: all at once")
	warmLimit := flag.Duration("warm-timeout", 5*time.Minute, "")
	changeLimit := flag.Duration("change-timeout", time.Minute, "")
	quiet := flag.Duration("quiet", 500*time.Millisecond, "silence that ends a phase")
	pid := flag.Int("server-pid", 0, "process whose CPU and memory are reported")
	flag.Parse()

	short := map[string]string{"cds": cds, "lds": lds, "eds": eds, "rds": rds, "ecds": ecds}
	l := &load{address: *address, tls: *secure, delta: !*sotw, nodeAlways: *nodeAlways, n: *count, expect: *expect, warm: map[int]time.Duration{}, allWarm: make(chan struct{})}
	for _, pair := range strings.FieldsFunc(*subscribe, func(r rune) bool { return r == ',' }) {
		typeURL, name, _ := strings.Cut(pair, "=")
		l.extra = append(l.extra, reference{typeURL, name})
	}
	if l.expect == 0 {
		l.expect = l.n
	}
	var types []string
	for _, name := range strings.FieldsFunc(*markerTypes, func(r rune) bool { return r == ',' }) {
		types = append(types, short[name])
	}
	l.probe.Store(&probe{marker: []byte(strings.ReplaceAll(*marker, "{i}", "1"))})

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	encoder := json.NewEncoder(os.Stdout)
	warmUp := l.measure("warm-up", *pid, *quiet, func(p *phase) {
		l.started = time.Now()
		go func() {
			for i := range *count {
				s := &stream{id: i, node: node(i, *idTemplate, *metadata, *cluster, *namespaces), token: filler(i, *namespaces)(*token)}
				go s.run(ctx, l)
				if *rate > 0 {
					time.Sleep(time.Until(l.started.Add(time.Duration(float64(i+1) / *rate * float64(time.Second)))))
				}
			}
		}()
		select {
		case <-l.allWarm:
		case <-time.After(*warmLimit):
			p.Failure = fmt.Sprint("not every stream was configured in time; last error: ", l.lastError.Load())
		}
		l.mu.Lock()
		var times []time.Duration
		for _, t := range l.warm {
			times = append(times, t)
		}
		l.mu.Unlock()
		p.spread, p.Missing = spreadOf(times), l.n-len(times)
	})
	_ = encoder.Encode(warmUp)
	for i := 1; *change != "" && warmUp.Failure == "" && i <= *rounds; i++ {
		fill := func(text string) string { return strings.ReplaceAll(text, "{i}", strconv.Itoa(i)) }
		for _, step := range []struct {
			what, command string
			appear        bool
		}{{"change", fill(*change), true}, {"undo", fill(*undo), false}} {
			if step.command != "" {
				_ = encoder.Encode(l.measure(step.what, *pid, *quiet, func(p *phase) {
					l.change(step.command, fill(*marker), step.appear, types, *changeLimit, p)
				}))
			}
		}
	}
}
