package eventlog_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/paput/paput/services/eventlog"

	eventlogtestv1 "github.com/paput/paput/proto/gen/paput/eventlogtest/v1"
)

func TestCase(t *testing.T) {
	t.Parallel()
	closed := &eventlogtestv1.Closed{}
	tables := []struct {
		name     string
		event    proto.Message
		wantName string
		wantBody proto.Message
	}{
		{"what is set", &eventlogtestv1.CounterEvent{Event: &eventlogtestv1.CounterEvent_Closed{Closed: closed}}, "closed", closed},
		{"a set case without a message", &eventlogtestv1.CounterEvent{Event: &eventlogtestv1.CounterEvent_Added{}}, "added", (*eventlogtestv1.Added)(nil)},
		{"nothing set", &eventlogtestv1.CounterEvent{}, "", nil},
		{"a message without the oneof", &eventlogtestv1.Opened{}, "", nil},
	}
	for _, tc := range tables {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			name, body := eventlog.Case(tc.event)
			if name != tc.wantName || body != tc.wantBody {
				t.Errorf("got %q, %v, want %q, %v", name, body, tc.wantName, tc.wantBody)
			}
		})
	}
}
