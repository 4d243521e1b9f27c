// Package e2e tells stories of people at the real binaries: what they type, what they see, and what happens to a server
// that is killed. Clients of other makers and a real browser are beside it, in clients, browser and rpc; the script run
// drives those.
package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// bin is the directory of the binaries under test. TestMain sets it and nothing changes it after.
var bin string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "paput-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin = dir
	build := exec.Command("go", "build", "-trimpath", "-o", bin+string(filepath.Separator), "../../cli/paput", "../paputd")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binaries: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func program(name string) string { return filepath.Join(bin, name) }

// TestStories runs the scripts of testdata. Each has a home, a data directory and free ports of its own, set in the
// environment, so that its commands read as a person would type them.
func TestStories(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                "testdata",
		RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			port, natsPort, err := freePorts()
			if err != nil {
				return err
			}
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("PAPUT_HOME", filepath.Join(env.WorkDir, "home", "paput"))
			env.Setenv("PAPUT_DATA", filepath.Join(env.WorkDir, "data"))
			env.Setenv("PAPUT_LISTEN", "127.0.0.1:"+port)
			env.Setenv("PAPUT_NATS_LISTEN", "127.0.0.1:"+natsPort)
			env.Setenv("URL", "http://localhost:"+port)
			env.Setenv("PORT", port)
			env.Setenv("NATS", "nats://127.0.0.1:"+natsPort)
			env.Setenv("EMAIL", email)
			env.Setenv("PASSWORD", password)
			env.Values[processes{}] = map[string]*process{}
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition")
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start":   cmdStart,
			"await":   cmdAwait,
			"end":     cmdEnd,
			"exit":    cmdExit,
			"person":  cmdPerson,
			"setup":   cmdSetup,
			"keep":    cmdKeep,
			"expire":  cmdExpire,
			"audited": cmdAudited,
			"http":    cmdHTTP,
			"ready":   cmdReady,
			"unpack":  cmdUnpack,
		},
	})
}

// The person of most stories.
const (
	email    = "aiko@example.com"
	password = "correct horse 電池 staple"
)

var lastPort atomic.Int32

// freePorts finds two ports that nobody listens on, below the range from which the system takes ports for outgoing
// connections, and gives none twice.
func freePorts() (first, second string, err error) {
	lastPort.CompareAndSwap(0, 20000+int32(os.Getpid()%400)*25)
	var ports []string
	for range 200 {
		port := strconv.Itoa(int(lastPort.Add(1)))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		l.Close()
		if ports = append(ports, port); len(ports) == 2 {
			return ports[0], ports[1], nil
		}
	}
	return "", "", fmt.Errorf("no free ports after %d", lastPort.Load())
}

// secretsIn finds tokens, codes and the like in what a program printed.
func secretsIn(text string) string {
	for _, prefix := range []string{"paput_at_", "paput_rt_", "paput_ac_", "paput_dc_"} {
		if i := strings.Index(text, prefix); i >= 0 {
			return text[i:min(len(text), i+len(prefix)+6)] + "…"
		}
	}
	return ""
}
