package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/paput/paput/services/embedding"
	"github.com/paput/paput/services/memo"
)

// embeddingsKey is the variable that may hold the key itself. It is no flag's twin: everybody on a machine sees flags.
const embeddingsKey = "PAPUT_EMBEDDINGS_KEY"

// embeddingsConfig says how searches find by meaning, if they do.
type embeddingsConfig struct {
	url      string
	model    string
	keyFile  string
	insecure bool
	timeout  time.Duration
	client   *embedding.Client // made by check; nil when it is off
}

func (e *embeddingsConfig) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&e.url, "embeddings-url", "", "OpenAI-compatible API for embeddings, such as http://localhost:11434/v1: searches then find by meaning too,\nand the text of memos and of queries is sent there; without it, nothing is sent anywhere")
	flags.StringVar(&e.model, "embeddings-model", "", "the model for --embeddings-url, such as bge-m3; every memo is embedded anew for another name")
	flags.StringVar(&e.keyFile, "embeddings-key-file", "", "file with the key for --embeddings-url; or give the key itself in "+embeddingsKey)
	flags.DurationVar(&e.timeout, "embeddings-timeout", 500*time.Millisecond, "how long a search waits for --embeddings-url before it does without, 10ms to 10s")
	flags.BoolVar(&e.insecure, "embeddings-insecure", false, "allow --embeddings-url plain http to another machine: memos then cross the network in clear text")
}

// check makes the client and refuses what cannot work or is not safe. No error has the address in it, which may have a
// secret in it, or the key.
func (e *embeddingsConfig) check(lookup func(string) (string, bool)) error {
	if e.url == "" {
		if e.model != "" || e.keyFile != "" || e.insecure {
			return errors.New("--embeddings-model, --embeddings-key-file and --embeddings-insecure go with --embeddings-url: say where the model runs")
		}
		return nil
	}
	if e.timeout < 10*time.Millisecond || e.timeout > 10*time.Second {
		return fmt.Errorf("--embeddings-timeout %s: between 10ms and 10s", e.timeout)
	}
	if e.model == "" {
		return errors.New("--embeddings-url needs --embeddings-model, by the name that the server there knows it by")
	}
	key, err := e.key(lookup)
	if err != nil {
		return err
	}
	e.client, err = embedding.New(embedding.Config{URL: e.url, Model: e.model, Key: key, Insecure: e.insecure})
	if errors.Is(err, embedding.ErrInsecure) {
		return fmt.Errorf("--embeddings-url: %w; --embeddings-insecure allows it all the same", err)
	}
	if err != nil {
		return fmt.Errorf("--embeddings-url: %w", err)
	}
	return nil
}

func (e *embeddingsConfig) key(lookup func(string) (string, bool)) (string, error) {
	if e.keyFile == "" {
		key, _ := lookup(embeddingsKey)
		return strings.TrimSpace(key), nil
	}
	data, err := os.ReadFile(e.keyFile)
	if err != nil {
		return "", fmt.Errorf("--embeddings-key-file %s: %w", e.keyFile, cause(err))
	}
	key := strings.TrimSpace(string(data))
	if key == "" {
		return "", fmt.Errorf("--embeddings-key-file %s: it is empty", e.keyFile)
	}
	return key, nil
}

// meaning is what the memo service is given; nil when it is off.
func (e *embeddingsConfig) meaning() *memo.Meaning {
	if e.client == nil {
		return nil
	}
	return &memo.Meaning{Embedder: e.client, Model: e.model, Patience: e.timeout}
}
