package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"testing"

	protocol "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"github.com/spf13/pflag"

	"github.com/paput/paput/edge/mcp"
)

// TestMain lets the test binary be paputd itself with the fixtures of the MCP conformance suite: everything that the suite
// asks a server to have for its sake, in the registry of the real program, behind its transport, authentication and limits.
// Its arguments are those of paputd serve.
func TestMain(m *testing.M) {
	if os.Getenv("PAPUT_TEST_AS_PAPUTD") == "" {
		os.Exit(m.Run())
	}
	if err := serveFixtures(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "paputd: %v\n", err)
		os.Exit(1)
	}
}

func serveFixtures(args []string) error {
	cfg := config{extend: addFixtures}
	flags := pflag.NewFlagSet("conformance", pflag.ContinueOnError)
	cfg.addServeFlags(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := cfg.check(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	a, err := newApp(ctx, cfg, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	return a.run(ctx, func(ctx context.Context) error { return a.greet(ctx, os.Stdout) })
}

// fixtures are what the suite's scenarios call by name.
type fixtures struct {
	edge     *mcp.Server
	registry *mcp.Registry
}

func addFixtures(edge *mcp.Server, registry *mcp.Registry) {
	f := fixtures{edge, registry}
	for _, option := range []server.ServerOption{
		server.WithResourceCapabilities(true, false), server.WithPromptCapabilities(false), server.WithLogging(), server.WithCompletions(),
	} {
		option(registry)
	}
	f.addContents()
	f.addReports()
	f.addQuestions()
	f.addRounds()
	f.addResources()
	f.addPrompts()
}

type handler = func(context.Context, protocol.CallToolRequest) (*protocol.CallToolResult, error)

func (f fixtures) tool(name string, handle handler, arguments ...protocol.ToolOption) {
	options := append([]protocol.ToolOption{protocol.WithDescription("A fixture of the MCP conformance suite.")}, arguments...)
	f.registry.AddTool(protocol.NewTool(name, options...), handle)
}

// say is a tool that answers with contents.
func say(contents ...protocol.Content) handler {
	return func(context.Context, protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		return &protocol.CallToolResult{Content: contents}, nil
	}
}

const (
	// png is an image of one pixel, wav a sound of no length; both in base64.
	png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
	wav = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
)

func (f fixtures) addContents() {
	text, image := protocol.NewTextContent("This is a simple text response for testing."), protocol.NewImageContent(png, "image/png")
	embed := func(uri, kind, content string) protocol.Content {
		return protocol.NewEmbeddedResource(protocol.TextResourceContents{URI: uri, MIMEType: kind, Text: content})
	}
	f.tool("test_simple_text", say(text))
	f.tool("test_image_content", say(image))
	f.tool("test_audio_content", say(protocol.NewAudioContent(wav, "audio/wav")))
	f.tool("test_embedded_resource", say(embed("test://embedded-resource", "text/plain", "This is an embedded resource content.")))
	f.tool("test_multiple_content_types", say(text, image, embed("test://mixed-content-resource", "application/json", `{"test":"data","value":123}`)))
	f.tool("test_error_handling", func(context.Context, protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		return protocol.NewToolResultError("This tool intentionally returns an error for testing"), nil
	})
	f.tool("test_missing_capability", func(ctx context.Context, _ protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		if capabilities(ctx).Sampling == nil {
			return nil, mcp.Refuse(ctx, protocol.MISSING_REQUIRED_CLIENT_CAPABILITY, "this tool needs a client that can sample", map[string]any{
				"requiredCapabilities": map[string]any{"sampling": struct{}{}},
			})
		}
		return protocol.NewToolResultText("The client can sample."), nil
	})
}

// capabilities are those that the client declares in the request of 2026-07-28 that is being answered.
func capabilities(ctx context.Context) protocol.ClientCapabilities {
	if info := server.RequestProtocolInfoFromContext(ctx); info != nil && info.ClientCapabilities != nil {
		return *info.ClientCapabilities
	}
	return protocol.ClientCapabilities{}
}

// addReports adds tools that report on their way.
func (f fixtures) addReports() {
	logs := func(ctx context.Context, _ protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		for _, said := range []string{"Tool execution started", "Tool processing data", "Tool execution completed"} {
			err := f.registry.SendNotificationToClient(ctx, string(protocol.MethodNotificationMessage), map[string]any{"level": "info", "data": said})
			if err != nil {
				return nil, err
			}
		}
		return protocol.NewToolResultText("Tool with logging executed successfully"), nil
	}
	f.tool("test_tool_with_logging", logs)
	f.tool("test_logging_tool", logs)
	f.tool("test_tool_with_progress", func(ctx context.Context, r protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		if r.Params.Meta == nil || r.Params.Meta.ProgressToken == nil {
			return protocol.NewToolResultText("Nobody wants to know."), nil
		}
		for _, done := range []int{0, 50, 100} {
			err := f.registry.SendNotificationToClient(ctx, string(protocol.MethodNotificationProgress), map[string]any{
				"progressToken": r.Params.Meta.ProgressToken, "progress": done, "total": 100,
			})
			if err != nil {
				return nil, err
			}
		}
		return protocol.NewToolResultText("progress reported"), nil
	})
}

// form is a form of fields that the client puts before its person.
func form(message string, required []string, fields map[string]any) protocol.ElicitationParams {
	schema := map[string]any{"type": "object", "properties": fields}
	if required != nil {
		schema["required"] = required
	}
	return protocol.ElicitationParams{Message: message, RequestedSchema: schema}
}

type object = map[string]any

// addQuestions adds tools that ask the client in the handshake era, by requests of their own.
func (f fixtures) addQuestions() {
	elicit := func(params func(protocol.CallToolRequest) protocol.ElicitationParams) handler {
		return func(ctx context.Context, r protocol.CallToolRequest) (*protocol.CallToolResult, error) {
			said, err := f.registry.RequestElicitation(ctx, protocol.ElicitationRequest{Params: params(r)})
			if err != nil {
				return protocol.NewToolResultError(err.Error()), nil
			}
			return protocol.NewToolResultText(fmt.Sprintf("User response: action=%s, content=%v", said.Action, said.Content)), nil
		}
	}
	f.tool("test_elicitation", elicit(func(r protocol.CallToolRequest) protocol.ElicitationParams {
		return form(r.GetString("message", ""), []string{"username", "email"}, object{
			"username": object{"type": "string", "description": "User's response"}, "email": object{"type": "string", "description": "User's email address"},
		})
	}), protocol.WithString("message", protocol.Required(), protocol.Description("What to ask")))
	f.tool("test_elicitation_sep1034_defaults", elicit(func(protocol.CallToolRequest) protocol.ElicitationParams {
		return form("Provide your information", nil, object{
			"name": object{"type": "string", "default": "John Doe"}, "age": object{"type": "integer", "default": 30},
			"score": object{"type": "number", "default": 95.5}, "verified": object{"type": "boolean", "default": true},
			"status": object{"type": "string", "enum": []string{"active", "inactive", "pending"}, "default": "active"},
		})
	}))
	titled := []object{{"const": "value1", "title": "Value One"}, {"const": "value2", "title": "Value Two"}, {"const": "value3", "title": "Value Three"}}
	options := []string{"option1", "option2", "option3"}
	f.tool("test_elicitation_sep1330_enums", elicit(func(protocol.CallToolRequest) protocol.ElicitationParams {
		return form("Select options", nil, object{
			"untitledSingle": object{"type": "string", "enum": options},
			"titledSingle":   object{"type": "string", "oneOf": titled},
			"legacyEnum":     object{"type": "string", "enum": []string{"opt1", "opt2", "opt3"}, "enumNames": []string{"Option One", "Option Two", "Option Three"}},
			"untitledMulti":  object{"type": "array", "items": object{"type": "string", "enum": options}},
			"titledMulti":    object{"type": "array", "items": object{"anyOf": titled}},
		})
	}))
	f.tool("test_sampling", func(ctx context.Context, r protocol.CallToolRequest) (*protocol.CallToolResult, error) {
		said, err := f.registry.RequestSampling(ctx, protocol.CreateMessageRequest{CreateMessageParams: prompt(r.GetString("prompt", ""))}) //nolint:staticcheck // the suite asks for what is deprecated
		if err != nil {
			return protocol.NewToolResultError(err.Error()), nil
		}
		return protocol.NewToolResultText(fmt.Sprintf("LLM response: %v", said.Content)), nil
	}, protocol.WithString("prompt", protocol.Required(), protocol.Description("What to ask")))
}

func prompt(text string) protocol.CreateMessageParams {
	return protocol.CreateMessageParams{
		MaxTokens: 100, Messages: []protocol.SamplingMessage{{Role: protocol.RoleUser, Content: protocol.NewTextContent(text)}},
	}
}

// name is what most rounds ask for.
func name(message string) protocol.ElicitationParams {
	return form(message, []string{"name"}, object{"name": object{"type": "string"}})
}

// addRounds adds tools that ask the client in the stateless era, by results that require input.
func (f fixtures) addRounds() {
	rounds := func(name string, ask func(ctx context.Context, r protocol.CallToolRequest) *server.InputRequestBuilder) {
		f.tool(name, func(ctx context.Context, r protocol.CallToolRequest) (*protocol.CallToolResult, error) {
			if state := r.Params.RequestState; state != "" {
				if _, ok := f.edge.UnsealState(ctx, name, state); !ok {
					return nil, mcp.Refuse(ctx, protocol.INVALID_PARAMS, "the requestState is not one of ours, or too old", nil)
				}
			}
			if b := ask(ctx, r); b != nil {
				return b.ToolResult(), nil
			}
			return protocol.NewToolResultText("state-ok"), nil
		})
	}
	answered := func(r protocol.CallToolRequest, id string) bool {
		_, ok := server.InputResponse(r.Params.InputResponses, id)
		return ok
	}
	sealed := func(ctx context.Context, name, state string) *server.InputRequestBuilder {
		return server.NewInputRequestBuilder(f.edge.SealState(ctx, name, []byte(state)))
	}
	greet := func(_ context.Context, r protocol.CallToolRequest) *server.InputRequestBuilder {
		if said := server.ElicitationResponse(r.Params.InputResponses, "user_name"); said != nil && said.Content != nil {
			return nil
		}
		return server.NewInputRequestBuilder("").Elicit("user_name", name("What is your name?"))
	}
	rounds("test_input_required_result_elicitation", greet)
	rounds("test_streaming_elicitation", greet)
	rounds("test_input_required_result_sampling", func(_ context.Context, r protocol.CallToolRequest) *server.InputRequestBuilder {
		if answered(r, "capital_question") {
			return nil
		}
		return server.NewInputRequestBuilder("").Sample("capital_question", prompt("What is the capital of France?"))
	})
	rounds("test_input_required_result_list_roots", func(_ context.Context, r protocol.CallToolRequest) *server.InputRequestBuilder {
		if answered(r, "client_roots") {
			return nil
		}
		return server.NewInputRequestBuilder("").Roots("client_roots")
	})
	for _, tool := range []string{"test_input_required_result_request_state", "test_input_required_result_tampered_state"} {
		rounds(tool, func(ctx context.Context, r protocol.CallToolRequest) *server.InputRequestBuilder {
			if answered(r, "confirm") {
				return nil
			}
			return sealed(ctx, tool, "").Elicit("confirm", form("Please confirm", []string{"ok"}, object{"ok": object{"type": "boolean"}}))
		})
	}
	const multiple, many = "test_input_required_result_multiple_inputs", "test_input_required_result_multi_round"
	rounds(multiple, func(ctx context.Context, r protocol.CallToolRequest) *server.InputRequestBuilder {
		if answered(r, "user_name") && answered(r, "greeting") && answered(r, "client_roots") {
			return nil
		}
		return sealed(ctx, multiple, "").Elicit("user_name", name("What is your name?")).Sample("greeting", prompt("Generate a greeting")).Roots("client_roots")
	})
	rounds(many, func(ctx context.Context, r protocol.CallToolRequest) *server.InputRequestBuilder {
		switch {
		case answered(r, "step2"):
			return nil
		case answered(r, "step1"):
			return sealed(ctx, many, "2").Elicit("step2", form("Step 2: What is your favorite color?", []string{"color"}, object{"color": object{"type": "string"}}))
		default:
			return sealed(ctx, many, "1").Elicit("step1", name("Step 1: What is your name?"))
		}
	})
	rounds("test_input_required_result_capabilities", func(ctx context.Context, r protocol.CallToolRequest) *server.InputRequestBuilder {
		can := capabilities(ctx)
		b := server.NewInputRequestBuilder("")
		if can.Elicitation != nil {
			b.Elicit("user_name", name("What is your name?"))
		}
		if can.Sampling != nil {
			b.Sample("greeting", prompt("Generate a greeting"))
		}
		return b
	})
}

func (f fixtures) addResources() {
	text := func(uri, name, content string) {
		about := protocol.NewResource(uri, name, protocol.WithResourceDescription("A fixture of the MCP conformance suite."), protocol.WithMIMEType("text/plain"))
		f.registry.AddResource(about, func(context.Context, protocol.ReadResourceRequest) ([]protocol.ResourceContents, error) {
			return []protocol.ResourceContents{protocol.TextResourceContents{URI: uri, MIMEType: "text/plain", Text: content}}, nil
		})
	}
	text("test://static-text", "static-text", "This is the content of the static text resource.")
	text("test://watched-resource", "watched-resource", "This resource does not change.")
	binary := protocol.NewResource("test://static-binary", "static-binary", protocol.WithResourceDescription("A fixture of the MCP conformance suite."), protocol.WithMIMEType("image/png"))
	f.registry.AddResource(binary, func(context.Context, protocol.ReadResourceRequest) ([]protocol.ResourceContents, error) {
		return []protocol.ResourceContents{protocol.BlobResourceContents{URI: "test://static-binary", MIMEType: "image/png", Blob: png}}, nil
	})
	template := protocol.NewResourceTemplate("test://template/{id}/data", "template", protocol.WithTemplateDescription("A fixture of the MCP conformance suite."), protocol.WithTemplateMIMEType("application/json"))
	f.registry.AddResourceTemplate(template, func(_ context.Context, r protocol.ReadResourceRequest) ([]protocol.ResourceContents, error) {
		id := strings.Split(r.Params.URI, "/")[3]
		content, err := json.Marshal(object{"id": id, "templateTest": true, "data": "Data for ID: " + id})
		return []protocol.ResourceContents{protocol.TextResourceContents{URI: r.Params.URI, MIMEType: "application/json", Text: string(content)}}, err
	})
}

func (f fixtures) addPrompts() {
	prompts := func(name string, messages func(protocol.GetPromptRequest) []protocol.Content, arguments ...string) {
		options := []protocol.PromptOption{protocol.WithPromptDescription("A fixture of the MCP conformance suite.")}
		for _, a := range arguments {
			options = append(options, protocol.WithArgument(a, protocol.ArgumentDescription("An argument"), protocol.RequiredArgument()))
		}
		f.registry.AddPrompt(protocol.NewPrompt(name, options...), func(_ context.Context, r protocol.GetPromptRequest) (*protocol.GetPromptResult, error) {
			result := &protocol.GetPromptResult{}
			for _, content := range messages(r) {
				result.Messages = append(result.Messages, protocol.NewPromptMessage(protocol.RoleUser, content))
			}
			return result, nil
		})
	}
	prompts("test_simple_prompt", func(protocol.GetPromptRequest) []protocol.Content {
		return []protocol.Content{protocol.NewTextContent("This is a simple prompt for testing.")}
	})
	prompts("test_prompt_with_arguments", func(r protocol.GetPromptRequest) []protocol.Content {
		return []protocol.Content{protocol.NewTextContent(fmt.Sprintf("Prompt with arguments: arg1='%s', arg2='%s'", r.Params.Arguments["arg1"], r.Params.Arguments["arg2"]))}
	}, "arg1", "arg2")
	prompts("test_prompt_with_embedded_resource", func(r protocol.GetPromptRequest) []protocol.Content {
		embedded := protocol.TextResourceContents{URI: r.Params.Arguments["resourceUri"], MIMEType: "text/plain", Text: "Embedded resource content for testing."}
		return []protocol.Content{protocol.NewEmbeddedResource(embedded), protocol.NewTextContent("Please process the embedded resource above.")}
	}, "resourceUri")
	prompts("test_prompt_with_image", func(protocol.GetPromptRequest) []protocol.Content {
		return []protocol.Content{protocol.NewImageContent(png, "image/png"), protocol.NewTextContent("Please analyze the image above.")}
	})
	asking := protocol.NewPrompt("test_input_required_result_prompt", protocol.WithPromptDescription("A fixture of the MCP conformance suite."))
	f.registry.AddPrompt(asking, func(_ context.Context, r protocol.GetPromptRequest) (*protocol.GetPromptResult, error) {
		said := server.ElicitationResponse(r.Params.InputResponses, "user_context")
		if said == nil {
			question := form("What context should the prompt use?", []string{"context"}, object{"context": object{"type": "string"}})
			return server.NewInputRequestBuilder("").Elicit("user_context", question).PromptResult(), nil
		}
		text := protocol.NewTextContent(fmt.Sprintf("The context is %v.", said.Content))
		return &protocol.GetPromptResult{Messages: []protocol.PromptMessage{protocol.NewPromptMessage(protocol.RoleUser, text)}}, nil
	})
}
