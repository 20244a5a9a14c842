// Shows the API's own description; nothing is loaded from anywhere else.
window.SwaggerUIBundle({ url: "/api/openapi.json", dom_id: "#docs", deepLinking: true, docExpansion: "list" });
